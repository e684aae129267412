// What retention (`messages.retention_days`) does to a store, at once: the server does it by itself only some minutes
// after it has started, which no test can wait for.
import { sql, storeOf } from "../../support/backup.mjs";

/**
 * Takes every entry that is older than the message with this text from all inboxes, or every entry there is; message
 * by message as remove_front() in src/storage/sqlite/retention.cc. The server must not run.
 */
export async function removeEntriesBefore(server, text) {
  const quoted = text?.replaceAll("'", "''");
  const before = quoted === undefined ? "9223372036854775807" : `(SELECT max(time) FROM messages WHERE instr(body, '${quoted}'))`;
  const printed = await sql(
    storeOf(server),
    `BEGIN IMMEDIATE;
     CREATE TEMP TABLE removed AS
       SELECT e.inbox, e."offset", e.chain, e.size, e.message, m.sender
       FROM inbox_entries e JOIN messages m ON m.id = e.message
       WHERE coalesce(e.time, m.time) < ${before};
     CREATE TEMP TABLE fronts AS
       SELECT inbox, max("offset") AS last, sum(size) AS bytes FROM removed GROUP BY inbox;
     UPDATE messages SET uses = uses - (SELECT count(*) FROM removed WHERE message = messages.id)
       WHERE id IN (SELECT message FROM removed);
     DELETE FROM messages WHERE uses <= 0 AND id IN (SELECT message FROM removed);
     DELETE FROM inbox_entries WHERE (inbox, "offset") IN (SELECT inbox, "offset" FROM removed);
     UPDATE inboxes SET
       floor = fronts.last,
       floor_chain = (SELECT chain FROM removed r WHERE r.inbox = inboxes.id AND r."offset" = fronts.last),
       bytes = inboxes.bytes - fronts.bytes,
       oldest = (SELECT coalesce(e.time, m.time) FROM inbox_entries e JOIN messages m ON m.id = e.message
                 WHERE e.inbox = inboxes.id ORDER BY e."offset" LIMIT 1)
       FROM fronts WHERE fronts.inbox = inboxes.id;
     UPDATE sender_shares SET entries = entries -
       (SELECT count(*) FROM removed r WHERE r.inbox = sender_shares.inbox AND r.sender = sender_shares.sender);
     DELETE FROM sender_shares WHERE entries = 0;
     COMMIT;
     SELECT count(*) FROM removed;
     SELECT count(*) FROM inboxes i WHERE bytes <> (SELECT coalesce(sum(size), 0) FROM inbox_entries e WHERE e.inbox = i.id)
       OR floor + (SELECT count(*) FROM inbox_entries e WHERE e.inbox = i.id) <> top;`,
  );
  const [removed, wrong] = printed.split("\n").map(Number);
  if (!(removed > 0) || wrong !== 0) throw new Error(`retention took ${removed} entries and left ${wrong} inboxes wrong`);
}
