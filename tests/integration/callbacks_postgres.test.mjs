// Callbacks of several nodes on one PostgreSQL: one outbox, from which each callback goes out once.
import assert from "node:assert/strict";
import test from "node:test";
import { Receiver } from "../support/application.mjs";
import { Cluster } from "../support/cluster.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";

const postgres = await startPostgres();
/** Callbacks that one node posts at once. */
const atOnce = 16;

/** A service whose nodes post to one receiver. */
async function startCluster() {
  const receiver = await Receiver.start();
  const settings = { "messages.unknown_users": "keep", ...receiver.settings };
  return Object.assign(await Cluster.start({ postgres, settings }), { receiver });
}

const message = (from, text) => ({ msg_id: messageId(), from: user(from), to: [user("everybody")], text });
const textsOf = (requests, name) => requests.filter(({ json }) => json.user.endpoint === name).map(({ json }) => json.message.text);

test("two nodes post each callback once, and each user's in order", async () => {
  const cluster = await startCluster();
  const nodes = await cluster.nodes(2);
  const names = Array.from({ length: atOnce + 8 }, () => newName());
  const count = 6;
  const { receiver } = cluster;
  // Nobody is answered until more posts are under way than one node makes at once.
  const held = [];
  receiver.answer = (request, response) => {
    held.push(response);
    if (held.length < names.length) return;
    receiver.answer = 204;
    for (const each of held) each.writeHead(204).end();
  };
  await Promise.all(
    names.map(async (name, number) => {
      for (let i = 0; i < count; ++i) await nodes[(number + i) % 2].backend.sent(message(name, `n${i}`));
    }),
  );
  for (const name of names) {
    await receiver.requests.first(
      ({ json }) => json.user.endpoint === name && json.message.text === `n${count - 1}`,
      `the last callback of ${name}`,
    );
  }
  const sent = Array.from({ length: count }, (_, i) => `n${i}`);
  for (const name of names) assert.deepEqual(textsOf(receiver.requests.all, name), sent);
  const ids = receiver.requests.all.map(({ json }) => json.id);
  assert.deepEqual([ids.length, new Set(ids).size], [names.length * count, names.length * count]);
});

test("messages, receipts and instances are told, whichever node they are at", async () => {
  const cluster = await startCluster();
  const [first, second] = await cluster.nodes(2);
  const { receiver } = cluster;
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(first, ann);
  const reader = await Device.connect(second, bob);
  await receiver.event("instance.started", { instance: sender.gateway.hello.instance });
  const sent = await sender.sent(bob, "hello");
  const told = await receiver.event("message.sent", { seq: sent.seq });
  assert.deepEqual([told.user, told.time, told.message.conv, told.message.text], [user(ann), sent.time, sent.conv, "hello"]);
  await reader.message("hello");
  const delivered = await receiver.event("message.delivered", { conv: sent.conv });
  assert.deepEqual([delivered.user, delivered.message], [user(bob), { conv: sent.conv, seq: sent.seq }]);
  await sender.gateway.command("terminate", {});
  await receiver.event("instance.ended", { instance: sender.gateway.hello.instance });
});

test("what a node was posting when it died is posted by another once its lease has run out", async () => {
  const cluster = await startCluster();
  const first = await cluster.node();
  const { receiver } = cluster;
  const names = Array.from({ length: 5 }, () => newName());
  receiver.answer = () => undefined;
  for (const text of ["n0", "n1"]) for (const name of names) await first.backend.sent(message(name, text));
  for (const name of names) await receiver.requests.first(({ json }) => json.user.endpoint === name, `a callback of ${name}`);
  await first.kill();
  receiver.answer = 204;

  const second = await cluster.node();
  const other = newName();
  await second.backend.sent(message(other, "unleased"));
  await receiver.event("message.sent", { text: "unleased" });
  assert.equal(receiver.requests.all.length, names.length + 1, "leased ones wait");
  await cluster.sql("UPDATE callback_queues SET next = next - 60000000"); // as if that time had passed
  for (const name of names) {
    await receiver.taken.first((json) => json.user.endpoint === name && json.message.text === "n1", `the last callback of ${name}`);
    assert.deepEqual(textsOf(receiver.requests.all, name), ["n0", "n0", "n1"]);
  }
  const ids = receiver.requests.all.map(({ json }) => json.id);
  assert.equal(ids.length - new Set(ids).size, names.length, "a repeat has the same id");
});

test("a dead letter of one node is seen and replayed at another", async () => {
  const cluster = await startCluster();
  const [first, second] = await cluster.nodes(2);
  const { receiver } = cluster;
  receiver.answer = ({ json }) => (json.message.text === "bad" ? 410 : 204);
  const ann = newName("ann");
  await first.backend.sent(message(ann, "bad"));
  await first.backend.sent(message(ann, "good"));
  await receiver.event("message.sent", { text: "good" });
  const [dead, ...more] = JSON.parse(await cluster.command(second, ["callbacks", "list", "--json"]));
  assert.deepEqual([dead.user, dead.attempts, dead.error, more], [user(ann), 1, "410", []]);
  receiver.answer = 204;
  assert.equal(await cluster.command(second, ["callbacks", "replay", String(dead.id)]), "waiting again: 1\n");
  await receiver.event("message.sent", { text: "bad" });
  assert.deepEqual(JSON.parse(await cluster.command(first, ["callbacks", "list", "--json"])), []);
});
