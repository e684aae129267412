// Messages between real clients of a real server: they arrive, once and in order, on every device,
// across reconnects and kills.
import assert from "node:assert/strict";
import test from "node:test";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";

const server = await startServer({ settings: { "messages.unknown_users": "keep", "limits.messages_per_second": 10000, "limits.commands_per_second": 10000 } });

test("a message reaches the other person's device, and its receipt comes back", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  const sent = await sender.sent(bob, "hello", { headers: { x: "1" } });
  assert.equal(sent.dup, false);
  assert.equal(sent.seq, 1);
  const entry = await reader.message("hello");
  assert.equal(entry.kind, "message");
  assert.equal(entry.conv, sent.conv);
  assert.deepEqual(entry.from, user(ann));
  assert.deepEqual(entry.headers, { x: "1" });
  assert.equal(entry.time, sent.time);
  const receipts = await sender.gateway.push("receipts");
  assert.deepEqual(receipts, { conv: sent.conv, user: user(bob), delivered: 1, read: 0 });
});

test("the sender's own device gets a stub, the other one the message", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const phone = await Device.connect(server, ann, { device: "phone" });
  const desk = await Device.connect(server, ann, { device: "desk" });
  const sent = await phone.sent(bob, "from the phone");
  const carbon = await desk.message("from the phone");
  assert.equal(carbon.kind, "sent");
  const stub = await phone.entries.first((entry) => entry.offset === sent.offset, "the stub");
  assert.deepEqual(
    { kind: stub.kind, stub: stub.stub, msg_id: stub.msg_id, text: stub.text },
    { kind: "sent", stub: true, msg_id: sent.msg_id, text: undefined },
  );
});

test("what is read on one device is told to the reader's other devices", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const phone = await Device.connect(server, bob, { device: "phone" });
  const desk = await Device.connect(server, bob, { device: "desk" });
  const { conv, seq } = await sender.sent(bob, "read me");
  await desk.message("read me");
  await desk.gateway.command("read", { conv, seq });
  assert.deepEqual(await phone.gateway.push("receipts"), { conv, user: user(bob), delivered: seq, read: seq });
});

test("what came while a device was away comes when it is back, from where it stood", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  let reader = await Device.connect(server, bob);
  await sender.sent(bob, "one");
  await reader.message("one");
  for (let round = 0; round < 3; ++round) {
    await reader.drop();
    for (let i = 0; i < 200; ++i) await sender.sent(bob, `away ${round}/${i}`);
    reader = await reader.again();
    assert.equal(reader.inbox.recovered, true, "nothing is missing");
    await reader.message(`away ${round}/199`);
    assert.deepEqual(reader.texts(), Array.from({ length: 200 }, (_, i) => `away ${round}/${i}`));
  }
});

test("a repeat is answered as the first time and delivered once", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  const msg_id = messageId();
  const first = await sender.sent(bob, "once", { msg_id });
  const again = await sender.sent(bob, "once", { msg_id });
  assert.deepEqual({ ...again, dup: false }, { ...first, dup: false });
  assert.equal(again.dup, true);
  const other = await sender.send(bob, "something else", { msg_id });
  assert.equal(other.error.code, 210);
  await sender.sent(bob, "last");
  await reader.message("last");
  assert.deepEqual(reader.texts(), ["once", "last"]);
});

test("a killed server has kept what it acknowledged, and the reader misses nothing", async () => {
  const mortal = await startServer({ settings: { "messages.unknown_users": "keep", "limits.messages_per_second": 10000, "limits.commands_per_second": 10000 } });
  const [ann, bob] = [newName("ann"), newName("bob")];
  let sender = await Device.connect(mortal, ann);
  let reader = await Device.connect(mortal, bob, { acknowledges: false });
  const acknowledged = [];
  for (let life = 0; life < 3; ++life) {
    const sending = (async () => {
      for (let i = 0; ; ++i) {
        const text = `life ${life}, ${i}`;
        const reply = await sender.send(bob, text).catch(() => undefined);
        if (reply === undefined) return;
        if (reply.send) acknowledged.push(text);
      }
    })();
    await reader.message(`life ${life}, 20`);
    await mortal.kill();
    await sending;
    const heard = reader.entries.all;
    await mortal.restart();
    sender = await sender.again();
    reader = await reader.again();
    assert.equal(reader.inbox.recovered, true);
    reader.entries.all.unshift(...heard); // one log over all lives
  }
  await sender.sent(bob, "the end");
  await reader.message("the end");
  const heard = reader.texts();
  assert.equal(new Set(heard).size, heard.length, "nothing came twice");
  assert.deepEqual(acknowledged.filter((text) => !heard.includes(text)), [], "everything acknowledged came");
  await mortal.close();
});

test("a second device starts where no device has acknowledged, a first one at the beginning", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  await sender.sent(bob, "before the first connect");
  const first = await Device.connect(server, bob, { device: "first" });
  assert.equal(first.inbox.recovered, false);
  assert.equal(first.inbox.reason, "unknown_device");
  await first.message("before the first connect");
  const receipt = await sender.gateway.push("receipts");
  assert.equal(receipt.delivered, 1);
  const second = await Device.connect(server, bob, { device: "second" });
  await sender.sent(bob, "later");
  await second.message("later");
  assert.deepEqual(second.texts(), ["later"]);
});

test("sync begins anew where the client says", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob, { acknowledges: false });
  const start = reader.position;
  await sender.sent(bob, "a");
  await sender.sent(bob, "b");
  await reader.message("b");
  reader.position = start;
  const { sync } = await reader.gateway.command("sync", start);
  assert.equal(sync.inbox.from, start.offset);
  await reader.entries.first((entry) => entry.text === "b", "b again", { from: 2 });
  assert.deepEqual(reader.texts(), ["a", "b", "a", "b"]);
});

test("conversations, history, reading and blocking", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  const { conv } = await sender.sent(bob, "1");
  await sender.sent(bob, "2");
  await reader.message("2");
  const list = (await reader.gateway.command("conversations", {})).conversations.conversations;
  assert.equal(list.length, 1);
  assert.equal(list[0].unread, 2);
  assert.equal(list[0].last.text, "2");
  const { history } = await reader.gateway.command("history", { conv, limit: 1 });
  assert.deepEqual(history.messages.map((message) => message.text), ["2"]);
  assert.equal(history.more, true);
  assert.deepEqual((await reader.gateway.command("read", { conv, seq: 2 })).read, { seq: 2 });
  await sender.gateway.objects.first((object) => object.push?.receipts?.read === 2, "the read receipt");
  assert.deepEqual((await reader.gateway.command("block", { user: user(ann) })).block, {});
  const refused = await sender.send(bob, "3");
  assert.equal(refused.error.code, 214);
  assert.deepEqual(refused.error.users, [user(bob)]);
});

test("typing is told to the other", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  const { conv } = await sender.sent(bob, "hello");
  assert.deepEqual((await sender.gateway.command("typing", { conv, state: "start" })).typing, {});
  assert.deepEqual(await reader.gateway.push("typing"), { conv, user: user(ann), state: "start" });
});

test("a group is one conversation for all its members", async () => {
  const [ann, bob, eve] = [newName("ann"), newName("bob"), newName("eve")];
  const [a, b, e] = await Promise.all([ann, bob, eve].map((name) => Device.connect(server, name)));
  const { group } = await a.gateway.command("group", {
    msg_id: messageId(),
    action: "create",
    name: "Friends",
    users: [user(bob), user(eve)],
  });
  assert.equal(group.seq, 1);
  const change = await b.entries.first((entry) => entry.kind === "group", "the new group");
  assert.equal(change.conv, group.conv);
  assert.equal(change.change.action, "create");
  const sent = await b.sent({ conv: group.conv }, "hello all");
  assert.equal(sent.seq, 2);
  for (const device of [a, e]) {
    const entry = await device.message("hello all");
    assert.equal(entry.seq, 2);
    assert.equal(entry.group, true);
  }
  await a.gateway.command("group", { msg_id: messageId(), conv: group.conv, action: "remove", users: [user(eve)] });
  const refused = await e.send({ conv: group.conv }, "still here?");
  assert.equal(refused.error.code, 103);
});
