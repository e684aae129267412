// Thousands of classic polls held at once: what each costs, that those whose client has gone are
// forgotten, and that a server that ends answers them all.
import assert from "node:assert/strict";
import test from "node:test";
import { assertPlaneError, assertReadable, holdPoll, PlainClassic, startClassicVictim } from "../support/classic.mjs";
import { newName } from "../support/people.mjs";
import { Arrivals, eventually } from "../support/waiting.mjs";

const polls = 3_000;
const pollsOfOne = 25;
const server = await startClassicVictim({
  settings: { "server.shards": 1, "limits.max_connections_per_address": 20_000, "limits.max_connections": 20_000 },
});

async function metric(name) {
  const line = (await server.metrics()).split("\n").find((text) => text.startsWith(`${name} `));
  return Number(line.split(" ")[1]);
}
const held = (count) => eventually(() => metric("countersign_classic_polls"), (now) => now === count, `${count} held polls`);

/** A poll of each of these, `pollsOfOne` a client. */
async function hold(clients) {
  const connections = [];
  for (const { client, now } of clients) {
    connections.push(...(await Promise.all(Array.from({ length: pollsOfOne }, () => holdPoll(client, now)))));
  }
  return connections;
}

async function startMany(count) {
  const clients = [];
  for (let i = 0; i < count; ++i) {
    const client = await PlainClassic.start(server, newName("ada"));
    clients.push({ client, now: await client.now() });
    client.close();
  }
  return clients;
}

test(`${polls} held polls cost less than 5 kB each, are forgotten when their clients go, and answered when the server ends`, async () => {
  const clients = await startMany(polls / pollsOfOne);
  // Once round, so that what is made once is not counted.
  const first = await hold(clients.slice(0, 20));
  await held(20 * pollsOfOne);
  for (const connection of first) connection.socket.destroy();
  await held(0);

  const before = server.memory();
  const processorBefore = server.processorMs();
  const connections = await hold(clients);
  await held(polls);
  const each = (server.memory() - before) / polls;
  assert.ok(each < 5, `${each.toFixed(2)} kB a poll`);
  console.log(`# ${each.toFixed(2)} kB and ${((server.processorMs() - processorBefore) / polls).toFixed(2)} ms a poll`);

  for (const connection of connections.slice(0, polls / 2)) connection.socket.destroy();
  await held(polls / 2);

  const ending = server.stop();
  for (const connection of connections.slice(polls / 2)) {
    const answer = await connection.answer();
    assertReadable(answer, 200);
    assert.deepEqual(JSON.parse(answer.body)[0], []);
  }
  assert.equal((await ending).code, 0);
});

test("an instance may hold 32 polls and no more; what is beyond is refused late, and others are not touched", async () => {
  await server.start();
  const [greedy, other] = await startMany(2);
  const others = await holdPoll(other.client, other.now);
  await held(1);
  const connections = await Promise.all(Array.from({ length: 100 }, () => holdPoll(greedy.client, greedy.now)));
  const refused = new Arrivals();
  for (const connection of connections) connection.answer().then((answer) => refused.add(answer), () => {});
  await refused.first(() => refused.all.length === 100 - 32, "the answers to those beyond");
  for (const answer of refused.all) assertPlaneError(answer, 429, "Subscribe");
  await held(1 + 32);
  for (const connection of connections) connection.socket.destroy();
  await held(1);
  others.socket.destroy();
  await held(0);
});
