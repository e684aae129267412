// A client that stops reading: the gateway goes back to reading the store for it, and cuts it only
// after ten seconds in which nothing of what waits for it could be sent.
//
// Such a client says that it has handled what it has not read: else the window of what is not
// acknowledged, which is smaller than what the kernel takes for a socket, would hold the gateway first.
import assert from "node:assert/strict";
import test from "node:test";
import { Backend } from "../support/application.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { patienceMs } from "../support/waiting.mjs";

const settings = {
  "messages.unknown_users": "keep",
  "limits.messages_per_second": 10_000,
  "limits.commands_per_second": 10_000,
  "limits.server_api_per_second": 100_000,
};
/** More than the kernel holds for a socket. */
const count = 600;
const size = 32_000;
/** As far as the server's memory may grow, in kB: a small part of what waits. */
const growth = 8 * 1024;

/** A server, a reader who has stopped reading, and two others who go on talking. */
async function start() {
  const server = await startServer({ settings });
  const backend = new Backend(server);
  const [ann, bob, cyd, dan] = ["ann", "bob", "cyd", "dan"].map(newName);
  const reader = await Device.connect(server, bob, { acknowledges: false });
  const others = [await Device.connect(server, cyd), await Device.connect(server, dan)];
  await others[0].sent(dan, "before");
  await others[1].message("before");
  const texts = Array.from({ length: count }, (_, n) => `${n} ${"x".repeat(size)}`);
  reader.gateway.socket.socket.pause();
  for (const text of texts) await backend.sent({ msg_id: messageId(), from: user(ann), to: [user(bob)], text });
  const memory = server.memory(); // the store's caches are full

  /** The others' longest round trip, in milliseconds. */
  let slowest = 0;
  let rounds = 0;
  async function othersTalk() {
    const began = performance.now();
    const text = `round ${++rounds}`;
    const [from, to] = rounds % 2 ? others : [...others].reverse();
    await from.sent(to.name, text);
    await Promise.all([to.message(text), from.entries.first(({ offset }) => offset === rounds + 1, "the stub")]);
    slowest = Math.max(slowest, performance.now() - began);
  }

  /** What was written for the reader: the others have got all of theirs. */
  const pushed = async () =>
    (await server.metric("countersign_inbox_pushed_total")) - others.reduce((sum, { entries }) => sum + entries.all.length, 0);

  /** Acknowledges whatever is pushed, unread, until `done` with how many there were. */
  async function acknowledgeUnread(done, what) {
    const deadline = performance.now() + patienceMs;
    for (let before = 0; ; ) {
      await othersTalk();
      const now = await pushed();
      if (now !== before) reader.ack(now).catch(() => {}); // its reply waits with the rest
      before = now;
      if (await done(now)) return now;
      assert.ok(performance.now() < deadline, `waited for ${what}`);
    }
  }

  return { server, reader, texts, memory, acknowledgeUnread, slowest: () => slowest };
}

/** Whether nothing more was pushed for a second, ten times as long as the gateway takes to look for room again. */
function stands() {
  let last;
  return (now) => {
    if (last?.pushed !== now) last = { pushed: now, since: performance.now() };
    return performance.now() - last.since > 1_000;
  };
}

test("who stops reading and goes on in time misses nothing, and the server keeps it in the store meanwhile", async () => {
  const { server, reader, texts, memory, acknowledgeUnread, slowest } = await start();
  const pushed = await acknowledgeUnread(stands(), "the gateway to stop pushing");
  assert.ok(pushed > 0 && pushed < count, `${pushed} pushed: the rest is left in the store`);
  assert.ok(server.memory() - memory < growth, `the server grew by ${server.memory() - memory} kB`);
  assert.ok(slowest() < 2_000, `others waited ${slowest()} ms`);

  reader.acknowledges = true;
  reader.gateway.socket.socket.resume();
  await reader.entries.first(({ offset }) => offset === count, "the last message");
  assert.deepEqual(reader.texts(), texts, "each once and in order, on the same connection");
  assert.equal(await server.metric("countersign_net_slow_readers_total"), 0);
  assert.equal(await server.metric("countersign_gateway_closes_total", 'code="4108"'), 0);
  assert.ok((await reader.gateway.command("ping")).ping);
});

test("who leaves unread what waits is cut with 4108 after ten seconds, and gets the rest when it comes back", async () => {
  const { server, reader, texts, memory, acknowledgeUnread, slowest } = await start();
  const pushed = await acknowledgeUnread(stands(), "the gateway to stop pushing");
  const stood = performance.now();
  const cut = async () => (await server.metric("countersign_net_slow_readers_total")) > 0;
  assert.equal(await cut(), false, "there is time");
  assert.equal(await acknowledgeUnread(cut, "the server to cut the reader"), pushed);
  const patience = performance.now() - stood;
  assert.ok(patience > 7_000 && patience < 15_000, `cut ${patience} ms after it stood still`);
  assert.ok(server.memory() - memory < growth, `the server grew by ${server.memory() - memory} kB`);
  assert.ok(slowest() < 2_000, `others waited ${slowest()} ms`);

  // What it had not read it reads now, and last the reason.
  reader.gateway.socket.socket.resume();
  assert.equal((await reader.gateway.closed).code, 4108);
  const read = reader.entries.all.length;
  assert.ok(read > 0 && read <= pushed, `${read} of ${pushed}`);
  reader.acknowledges = true;
  const again = await reader.again();
  assert.equal(again.inbox.recovered, true);
  await again.entries.first(({ offset }) => offset === count, "the last message");
  assert.deepEqual([...reader.texts(), ...again.texts()], texts, "each once and in order");
});
