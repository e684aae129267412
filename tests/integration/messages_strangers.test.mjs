// What somebody learns, reaches or spends in conversations that are not theirs, or no longer are.
import assert from "node:assert/strict";
import test from "node:test";
import { Backend, pathOf } from "../support/application.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";

const server = await startServer({ settings: { "messages.unknown_users": "keep", "limits.messages_per_second": 100 } });
const backend = new Backend(server);

const join = (name) => Device.connect(server, newName(name));
const group = (device, action, content) => device.gateway.command("group", { msg_id: messageId(), action, ...content });

test("nobody learns from a conversation's id whether two others have talked", async () => {
  const [ann, eve] = [await join("ann"), await join("eve")];
  const bob = newName("bob");
  const { conv: existing } = await ann.sent(bob, "between us");
  const invented = `c-${"a".repeat(existing.length - 2)}`;
  for (const [verb, body] of [
    ["history", {}],
    ["conversation", {}],
    ["members", {}],
    ["read", { seq: 1 }],
    ["typing", { state: "start" }],
    ["send", { text: "let me in" }],
    ["group", { action: "leave" }],
  ]) {
    const answers = [];
    for (const conv of [existing, invented]) {
      const content = ["send", "group"].includes(verb) ? { msg_id: messageId(), ...body } : body;
      const { id, ...answer } = await eve.gateway.command(verb, { ...content, conv });
      answers.push(answer);
    }
    assert.equal(answers[0].error?.code, 103, verb);
    assert.deepEqual(answers[1], answers[0], verb);
  }
  const own = await eve.gateway.command("history", { to: [user(bob)] });
  assert.equal(own.error.code, 102, "what one's own people have not begun is absent");
});

test("what was meant for somebody whose data were erased comes into no other conversation", async () => {
  const ann = await join("ann");
  const [bob, cleo] = [newName("bob"), newName("cleo")];
  const { conv: two } = await ann.sent(bob, "to you");
  await ann.sent({ conv: two }, "once more"); // from here on the server remembers who is in it, for a while
  const { conv: three } = await ann.sent({ to: [user(bob), user(cleo)] }, "to both");
  assert.deepEqual((await backend.post(`${pathOf(user(bob))}/erase`)).json, { finished: true });
  assert.equal((await ann.sent({ conv: two }, "for your eyes only")).conv, two, "kept, as for anybody unknown");
  const refused = await ann.send({ conv: three }, "for your eyes only");
  assert.equal(refused.error?.code, 102, JSON.stringify(refused));
  const { conversations } = (await ann.gateway.command("conversations", { limit: 100 })).conversations;
  assert.deepEqual(conversations.map(({ conv }) => conv).sort(), [two, three].sort());
});

test("who was removed from a group neither says nor hears that somebody types", async () => {
  const [ann, bob, cleo] = [await join("ann"), await join("bob"), await join("cleo")];
  const { conv } = (await group(ann, "create", { name: "Three", users: [user(bob.name), user(cleo.name)] })).group;
  assert.equal((await group(ann, "remove", { conv, users: [user(bob.name)] })).error, undefined);
  assert.equal((await bob.gateway.command("typing", { conv, state: "start" })).error?.code, 103);
  assert.deepEqual((await ann.gateway.command("typing", { conv, state: "start" })).typing, {});
  await cleo.gateway.push("typing");
  await bob.sent(ann.name, "after it"); // what was pushed to bob before has come by then
  assert.ok(!bob.gateway.objects.all.some(({ push }) => push?.typing));
});

test("each recipient of a large group counts as one message", async () => {
  const ann = await join("ann");
  const names = Array.from({ length: 150 }, () => newName("member"));
  const { conv } = (await group(ann, "create", { name: "Many", users: names.slice(0, 75).map(user) })).group;
  assert.ok((await group(ann, "add", { conv, users: names.slice(75).map(user) })).group);
  const codes = [];
  for (let n = 0; n < 8; ++n) codes.push((await ann.send({ conv }, `message ${n}`)).error?.code);
  assert.ok(codes.includes(111), `1,200 recipients at once, and 100 a second are allowed: ${codes}`);
});
