// A disk that fills while people write to each other: what is refused, what goes on, and that nothing
// acknowledged is lost and nothing refused is kept.
import assert from "node:assert/strict";
import test from "node:test";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { smallDisk } from "../support/small_disk.mjs";

const settings = { "limits.messages_per_second": 10_000, "limits.commands_per_second": 10_000 };

/** The number of a message, and its size. */
const mark = (text) => `${text.split(" ")[0]}, ${text.length}`;

test("a full disk: messages are 113, acknowledging goes on, and with room the same message is accepted, once", async () => {
  // Four MiB are the reserve; the rest takes some tens of messages.
  const disk = await smallDisk(6_500_000);
  const server = await startServer({ ...disk.options, settings });
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob, { acknowledges: false });

  const accepted = [];
  let refused;
  while (refused === undefined) {
    const body = { msg_id: messageId(), to: [user(bob)], text: `${accepted.length} ${"x".repeat(20_000)}` };
    const reply = await sender.gateway.command("send", body);
    if (reply.error) refused = { body, error: reply.error };
    else accepted.push({ body, sent: reply.send });
    if (accepted.length % 4 === 0) await reader.ack(); // or the window would be full
    assert.ok(accepted.length < 1_000, "the disk fills");
  }
  assert.deepEqual([refused.error.code, refused.error.temporary], [113, true]);
  assert.ok(accepted.length > 10, `${accepted.length} accepted before`);
  await server.logged({ event: "store_full", level: "warning" });

  // What frees room, or takes none, goes on: reading, acknowledging, and the receipt that tells of it.
  await reader.message(accepted.at(-1).body.text);
  assert.equal((await reader.ack()).ack.offset, accepted.length);
  const delivered = ({ push }) => push?.receipts?.delivered === accepted.at(-1).sent.seq;
  await sender.gateway.objects.first(delivered, "the receipt");
  const { history } = await reader.gateway.command("history", { conv: accepted[0].sent.conv, limit: 2 });
  assert.deepEqual(history.messages.map(({ text }) => mark(text)), accepted.slice(-2).reverse().map(({ body }) => mark(body.text)));
  // What was accepted is known as that, or nothing is said about it.
  const repeat = await sender.gateway.command("send", accepted[0].body);
  if (repeat.error) assert.equal(repeat.error.code, 113);
  else assert.deepEqual(repeat.send, { ...accepted[0].sent, dup: true });
  const still = await sender.gateway.command("send", refused.body);
  assert.equal(still.error.code, 113);

  disk.makeRoom();
  const now = await sender.gateway.command("send", refused.body);
  assert.deepEqual([now.send?.seq, now.send?.dup], [accepted.length + 1, false], JSON.stringify(now.error));
  accepted.push({ body: refused.body, sent: now.send });
  const once = await sender.gateway.command("send", refused.body);
  assert.deepEqual(once.send, { ...now.send, dup: true });
  await server.logged({ event: "store_has_room" });
  await reader.message(refused.body.text);
  await reader.ack();

  // After a hard end each of them is there, in the history and for a device that comes for the first time.
  await server.kill();
  await server.restart();
  assert.deepEqual(reader.texts().map(mark), accepted.map(({ body }) => mark(body.text)));
  const back = await reader.again();
  assert.equal(back.inbox.recovered, true);
  assert.equal(back.inbox.cursor, accepted.length);
  const kept = [];
  for (let more = true; more; ) {
    const page = (await back.gateway.command("history", { conv: now.send.conv, ...(kept.length ? { before: kept[0].seq } : {}) })).history;
    kept.unshift(...page.messages.reverse());
    more = page.more;
  }
  const all = accepted.map(({ body, sent }) => [sent.seq, mark(body.text), body.msg_id]);
  assert.deepEqual(kept.map(({ seq, text, msg_id: id }) => [seq, mark(text), id]), all);
});
