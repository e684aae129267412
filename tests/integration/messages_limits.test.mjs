// Inboxes that take no more: who hears of it, with which code, and what of it is lost, which is nothing.
import assert from "node:assert/strict";
import test from "node:test";
import { Backend } from "../support/application.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";

const most = 10;
const settings = {
  "messages.inbox_entries_of_sender": most,
  "limits.messages_per_second": 10_000,
  "limits.commands_per_second": 10_000,
};
const server = await startServer({ settings });

/** Three people; the second has as many messages of one sender as one sender may leave there. */
async function full(on = server) {
  const [ann, bob, cyd] = ["ann", "bob", "cyd"].map(newName);
  const [sender, reader, third] = await Promise.all([ann, bob, cyd].map((name) => Device.connect(on, name)));
  const texts = Array.from({ length: most }, (_, n) => `n${n}`);
  const first = { msg_id: messageId(), to: [user(bob)], text: texts[0] };
  assert.ok((await sender.gateway.command("send", first)).send);
  for (const text of texts.slice(1)) await sender.sent(bob, text);
  await reader.message(texts.at(-1));
  return { ann, bob, cyd, sender, reader, third, texts, first };
}

/** The error of a refused send, which is 212 because of these users. */
function assertLimit({ send, error }, names) {
  assert.equal(send, undefined);
  assert.equal(error.code, 212);
  assert.deepEqual(error.users, names.map(user));
}

test("beyond a sender's share of an inbox a message is 212, names whose, and reaches nobody", async () => {
  const { bob, cyd, sender, reader, third, texts, first } = await full();
  assertLimit(await sender.send(bob, "one too many"), [bob]);
  assertLimit(await sender.send({ to: [user(cyd), user(bob)] }, "to both"), [bob]);
  // What was accepted before is still known as that.
  const repeat = await sender.gateway.command("send", first);
  assert.deepEqual([repeat.send.seq, repeat.send.dup], [1, true]);
  // Others may write to this user, and this sender to others.
  await third.sent(bob, "of somebody else");
  await reader.message("of somebody else");
  await sender.sent(cyd, "to somebody else");
  await third.message("to somebody else");
  assert.deepEqual(reader.texts(), [...texts, "of somebody else"]);
  assert.deepEqual(third.texts(), ["to somebody else"]);
});

test("having read them makes no room: entries are kept for the user's other devices", async () => {
  const { bob, sender, reader } = await full();
  assert.equal((await reader.ack()).ack.offset, most);
  assertLimit(await sender.send(bob, "one too many"), [bob]);
  const tablet = await Device.connect(server, bob, { device: "tablet" });
  assert.equal((await tablet.gateway.command("history", { conv: reader.entries.all[0].conv })).history.messages.length, most);
});

test("the server API tells a backend the same: 403 with 212 and the users", async () => {
  const { ann, bob } = await full();
  const answer = await new Backend(server).post("/v1/app/messages", { msg_id: messageId(), from: user(ann), to: [user(bob)], text: "x" });
  assert.equal(answer.status, 403);
  assert.deepEqual([answer.json.code, answer.json.users], [212, [user(bob)]]);
});

test("a group goes on without a member whose inbox is full: the reply names them, the history has it", async () => {
  const { bob, sender, reader, third } = await full();
  const { group } = await third.gateway.command("group", { msg_id: messageId(), action: "create", name: "Trio", users: [user(sender.name), user(bob)] });
  await Promise.all([sender, reader].map(({ entries }) => entries.first(({ conv }) => conv === group.conv, "the group")));
  const sent = await sender.sent({ conv: group.conv }, "to the group");
  assert.deepEqual(sent.left_out, [user(bob)]);
  await third.message("to the group");
  // The next one, of somebody for whom there is room, comes, and the one before stands in the history.
  const next = await third.sent({ conv: group.conv }, "and another");
  assert.equal(next.left_out, undefined);
  assert.equal(next.seq, sent.seq + 1);
  assert.equal((await reader.message("and another")).seq, next.seq);
  assert.ok(!reader.texts().includes("to the group"));
  const { history } = await reader.gateway.command("history", { conv: group.conv });
  assert.deepEqual(history.messages.slice(0, 2).map(({ text }) => text), ["and another", "to the group"]);
});

test("where there is room again, the same message is accepted, once", async () => {
  const own = await startServer({ settings });
  const { bob, sender, reader, texts } = await full(own);
  const late = { msg_id: messageId(), to: [user(bob)], text: "when there is room" };
  assertLimit(await sender.gateway.command("send", late), [bob]);
  await own.stop();
  own.settings["messages.inbox_entries_of_sender"] = 2 * most;
  await own.restart();
  const [again, listener] = await Promise.all([sender.again(), reader.again()]);
  const accepted = await again.gateway.command("send", late);
  assert.deepEqual([accepted.send.seq, accepted.send.dup], [most + 1, false]);
  const repeat = await again.gateway.command("send", late);
  assert.deepEqual(repeat.send, { ...accepted.send, dup: true });
  await again.sent(bob, "last");
  await listener.message("last");
  assert.deepEqual([...reader.texts(), ...listener.texts()], [...texts, late.text, "last"]);
});
