// Messages where it gets large, late or awkward: somebody away for ten thousand messages, a group of
// a thousand, a crowd that leaves, and a store or a bus that fails between two steps of one send.
import assert from "node:assert/strict";
import test from "node:test";
import { Cluster } from "../support/cluster.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { startNats } from "../support/nats.mjs";
import { newName } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { startServer } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";

const generous = {
  "messages.unknown_users": "keep",
  "limits.messages_per_second": 10_000,
  "limits.commands_per_second": 100_000,
  "limits.max_connections_per_address": 5_000,
};
const server = await startServer({ settings: { ...generous, "messages.inbox_entries_of_sender": 100_000 } });

/** What is soon in a group of a thousand, on a loaded machine. */
const soonMs = 30_000;

/** Runs `work` for all items, so many at once. */
async function forAll(items, atOnce, work) {
  const left = [...items.entries()];
  const turn = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: atOnce }, turn));
}

test("a device that was away for 10,000 messages has each of them, once and in order", async () => {
  const count = 10_000;
  const [ann, bob] = [newName("ann"), newName("bob")];
  const reader = await Device.connect(server, bob);
  await reader.drop();
  const sender = await Device.connect(server, ann, { acknowledges: false });
  const seqs = new Map();
  await forAll(Array.from({ length: count }, (_, n) => `n${n}`), 50, async (text) => {
    seqs.set(text, (await sender.sent(bob, text)).seq);
  });
  const back = await reader.again();
  assert.equal(back.inbox.recovered, true);
  await back.entries.first((entry) => entry.seq === count, "the last message");
  assert.deepEqual(back.entries.all.map(({ seq }) => seq), Array.from({ length: count }, (_, n) => n + 1));
  for (const { text, seq } of back.entries.all) assert.equal(seqs.get(text), seq);
  await eventually(() => back.ack(), (reply) => reply.ack?.offset === count, "the acknowledgement of everything");
});

test("a message to somebody who has never signed in waits for them", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const sent = await sender.sent(bob, "when you come");
  const reader = await Device.connect(server, bob);
  assert.equal((await reader.message("when you come")).seq, sent.seq);
  assert.equal((await sender.gateway.push("receipts")).delivered, sent.seq);
});

test("a group of 1,000 of whom 900 are away: who is there has it soon, the others when they come", async () => {
  const names = Array.from({ length: 999 }, (_, n) => newName(`member${n}`));
  const owner = await Device.connect(server, newName("owner"));
  const present = [];
  const away = [];
  await forAll(names.slice(99), 20, async (name) => {
    const device = await Device.connect(server, name);
    await device.gateway.close();
    away.push(device);
  });
  await forAll(names.slice(0, 99), 20, async (name) => present.push(await Device.connect(server, name)));
  const { group } = await owner.gateway.command("group", {
    msg_id: messageId(),
    action: "create",
    name: "Everybody",
    users: names.slice(0, 90).map(user),
  });
  for (let at = 90; at < names.length; at += 90) {
    const users = names.slice(at, at + 90).map(user);
    const { error } = await owner.gateway.command("group", { msg_id: messageId(), conv: group.conv, action: "add", users });
    assert.equal(error, undefined, JSON.stringify(error));
  }
  const { conversation } = await owner.gateway.command("conversation", { conv: group.conv });
  assert.equal(conversation.member_count, 1000);
  const began = performance.now();
  const sent = await owner.sent({ conv: group.conv }, "to everybody");
  const soon = { ms: soonMs };
  await Promise.all(present.map((device) => device.message("to everybody", soon)));
  const took = performance.now() - began;
  assert.ok(took < soonMs, `${took} ms until the last who is there had it`);
  await forAll(away, 20, async (gone) => {
    const device = await gone.again();
    assert.equal(device.inbox.recovered, true);
    assert.equal((await device.message("to everybody", soon)).seq, sent.seq);
    assert.equal(device.texts().length, 1);
    await device.gateway.close();
  });
  const late = await owner.send({ conv: group.conv }, "one more");
  assert.equal(late.send.seq, sent.seq + 1);
});

test("row 16, memory never returns: crowds that come and go, two of three without a word, leave nothing behind", async () => {
  const quick = await startServer({ settings: { ...generous, "gateway.ping_seconds": 5 } });
  const open = async () => Number(/^countersign_gateway_connections (\d+)/m.exec(await quick.metrics())[1]);
  const names = Array.from({ length: 600 }, () => newName("crowd"));
  const memory = [];
  for (let round = 0; round < 4; ++round) {
    const crowd = [];
    await forAll(names, 30, async (name) => {
      const device = await Device.connect(quick, name);
      crowd.push(device);
      await device.sent(names[(crowd.length * 7) % names.length], `round ${round}`);
    });
    assert.equal(await open(), names.length);
    crowd.forEach((device, n) => {
      // A third leaves, a third vanishes, and a third stays connected but never answers again.
      if (n % 3 === 0) device.gateway.close();
      else if (n % 3 === 1) device.drop();
      else device.gateway.socket.answersPings = false;
    });
    await eventually(open, (count) => count === 0, "the end of all connections", 40_000);
    memory.push(quick.memory());
  }
  const [, settled, ...later] = memory;
  for (const kilobytes of later) assert.ok(kilobytes < settled * 1.1 + 2048, `${memory} kB`);
});

test("row 18, dual write: what is saved is heard of without the bus, and what is not saved is not", async () => {
  const [postgres, nats] = [await startPostgres(), await startNats()];
  const cluster = await Cluster.start({ postgres, nats, settings: generous });
  const nodes = await cluster.nodes(2);
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(nodes[0], ann);
  const reader = await Device.connect(nodes[1], bob);
  await sender.sent(bob, "with the bus");
  await reader.message("with the bus");

  await nats.kill();
  const saved = await sender.sent(bob, "saved, and nobody can be told");
  assert.equal((await reader.message("saved, and nobody can be told")).seq, saved.seq);
  await nats.start();

  const unsaved = { msg_id: messageId(), to: [user(bob)], text: "told, had it been saved" };
  await postgres.stop("SIGQUIT");
  const refused = await sender.gateway.command("send", unsaved).catch(() => ({ error: { temporary: true } }));
  assert.equal(refused.error?.temporary, true, JSON.stringify(refused));
  await postgres.start();
  const [again, listener] = await Promise.all([
    eventually(() => Device.connect(nodes[0], ann).catch(() => undefined), (device) => device !== undefined, "the first node"),
    eventually(() => Device.connect(nodes[1], bob).catch(() => undefined), (device) => device !== undefined, "the second node"),
  ]);
  const reply = await eventually(() => again.gateway.command("send", unsaved), ({ send }) => send !== undefined, "the repeat");
  assert.equal(reply.send.seq, saved.seq + 1, "it was not there before");
  await listener.message(unsaved.text);
  const heard = [...reader.texts(), ...listener.texts()].filter((text) => text === unsaved.text);
  assert.equal(heard.length, 1);
});
