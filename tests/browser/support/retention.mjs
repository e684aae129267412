// What retention (`messages.retention_days`) does to a store, at once and by the store's own code: a server does it by
// itself only some minutes after it has started, which no test can wait for.
import path from "node:path";
import { done, sql, storeOf } from "../../support/backup.mjs";
import { execute, program } from "../../support/process.mjs";

const removeOld = path.join(path.dirname(program), "../tests/remove_old");

/**
 * Takes all that is older than the message with this text, or everything there is; devices stay, as if they had been
 * seen since. The server must not run.
 * @returns how many senders were told that somebody had not got their message
 */
export async function removeEntriesBefore(server, text) {
  const store = storeOf(server);
  const quoted = text?.replaceAll("'", "''");
  const before = quoted === undefined ? Date.now() * 1000 : await sql(store, `SELECT max(time) FROM messages WHERE instr(body, '${quoted}')`);
  await sql(store, `UPDATE message_devices SET seen = max(seen, ${before})`);
  const { stdout } = await done(execute(removeOld, [store, String(before)]));
  const [removed, notices] = stdout.split(" ").map(Number);
  if (!(removed > 0)) throw new Error(`retention took ${removed} rows`);
  return notices;
}
