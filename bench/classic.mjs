// The classic door, driven for bench/run.py; writes JSON to FILE.
//
//   node bench/classic.mjs FILE polls COUNT    memory and processor time of held polls
//   node bench/classic.mjs FILE rate SECONDS   messages a second through the door, end to end
//   node bench/classic.mjs FILE sdk ROUNDS     start() and send to receipt: the classic SDK, and ours beside it
//
// Servers are those of the integration tests, with the log at `info`. `sdk` wants --experimental-websocket, and the
// packages of tests/classic.
import fs from "node:fs";
import path from "node:path";
import { ClassicClient, startClassicServer } from "../tests/classic/support/client.mjs";
import { holdPoll, PlainClassic, startClassicVictim } from "../tests/support/classic.mjs";
import { ticketFor } from "../tests/support/inbox.mjs";
import { newName } from "../tests/support/people.mjs";
import { temporaryFolder } from "../tests/support/process.mjs";
import { eventually } from "../tests/support/waiting.mjs";

const open = {
  "log.level": "info",
  "limits.max_connections": 30_000,
  "limits.max_connections_per_address": 30_000,
  "limits.messages_per_second": 5_000,
  "messages.unknown_users": "keep",
};
const [file, what, amount] = process.argv.slice(2);
const count = Number(amount);

/** Keeps nothing of what was said: that is for tests. */
function forgetful(server) {
  server.traffic = { answer() {}, connection: () => () => {}, find: () => [] };
  return server;
}

function quantiles(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { p50_ms: at(0.5), p99_ms: at(0.99), count: sorted.length };
}

async function polls() {
  const server = forgetful(await startClassicVictim({ settings: open }));
  const held = async () => Number(/^countersign_classic_polls (\d+)$/m.exec(await server.metrics())[1]);
  const each = 25; // of one instance
  const clients = [];
  for (let i = 0; i < count / each; ++i) {
    const client = await PlainClassic.start(server, newName("ada"));
    clients.push({ client, now: await client.now() });
    client.close();
  }
  const take = async (some) => {
    const connections = [];
    for (const { client, now } of some) connections.push(...(await Promise.all(Array.from({ length: each }, () => holdPoll(client, now)))));
    await eventually(held, (now) => now === connections.length, "all polls to be held");
    return connections;
  };
  // Once round, so that what is made once is not counted.
  for (const connection of await take(clients.slice(0, 20))) connection.socket.destroy();
  await eventually(held, (now) => now === 0, "the end of these");
  const [memory, processor] = [server.memory(), server.processorMs()];
  const connections = await take(clients);
  const bytes = ((server.memory() - memory) * 1024) / count;
  const taking = (server.processorMs() - processor) / count;
  const before = server.processorMs();
  const seconds = 20;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const holding = (server.processorMs() - before) / (seconds * 10); // per cent of one core
  for (const connection of connections) connection.socket.destroy();
  return { bytes, taking_ms: taking, holding_percent: holding };
}

async function rate() {
  const server = forgetful(await startClassicVictim({ settings: open }));
  const pairs = [];
  for (let i = 0; i < 16; ++i) {
    const [sender, reader] = [await PlainClassic.start(server, newName("ada")), await PlainClassic.start(server, newName("grace"))];
    const now = await reader.now();
    pairs.push({ sender, reader, now, transport: await sender.transport(reader.name) });
  }
  const end = performance.now() + count * 1000;
  const sentAt = new Map();
  const times = [];
  const processor = server.processorMs();
  const began = performance.now();
  const done = pairs.map(async ({ sender, reader, now, transport }) => {
    const last = crypto.randomUUID();
    let sent = 0;
    const sending = (async () => {
      while (performance.now() < end) {
        const session = crypto.randomUUID();
        sentAt.set(session, performance.now());
        await sender.send(transport, "a text of a usual length, as people write it", { session });
        ++sent;
      }
      await sender.send(transport, "the last one", { session: last });
      return sent;
    })();
    for (let token = now, over = false; !over; ) {
      const { frames, timetoken } = await reader.poll(token);
      for (const { session } of frames) {
        if (session === last) over = true;
        else times.push(performance.now() - sentAt.get(session));
      }
      token = timetoken;
    }
    return sending;
  });
  const total = (await Promise.all(done)).reduce((sum, sent) => sum + sent, 0);
  const seconds = (performance.now() - began) / 1000;
  return { per_second: total / seconds, processor_ms: (server.processorMs() - processor) / total, end_to_end: quantiles(times) };
}

/** Our SDK as pages load it, in this process. */
async function ourSdk(server) {
  const bundle = path.join(temporaryFolder("sdk"), "countersign.mjs");
  fs.writeFileSync(bundle, (await server.client().get("/sdk/countersign.mjs")).body);
  return import(bundle);
}

async function sdk() {
  // Pages of our SDK are the server's own here; TLS is for the classic one alone, which insists on it.
  const classic = forgetful(await startClassicServer({ settings: open }));
  const native = forgetful(await startClassicVictim({ settings: open }));
  const { Client } = await ourSdk(native);
  const samples = { "classic start": [], "classic receipt": [], "native start": [], "native receipt": [] };
  const timed = async (name, work) => {
    const began = performance.now();
    const result = await work();
    samples[name].push(performance.now() - began);
    return result;
  };
  for (let round = 0; round < count; ++round) {
    const [ada, grace] = [newName("ada"), newName("grace")];
    const clients = [];
    for (const name of [ada, grace]) {
      const client = new ClassicClient(classic);
      await timed("classic start", () => client.start({ userTicket: ticketFor(classic, name) }));
      await client.polling();
      clients.push(client);
    }
    const message = clients[0].sending(grace, "a text");
    await timed("classic receipt", () => clients[0].receipt(message.id));
    await message.done;
    for (const client of clients) client.close();

    const ours = [];
    for (const name of [ada, grace]) {
      const client = new Client(native.url, { resume: false, device: `bench-${name}`, capabilities: ["messaging"] });
      await timed("native start", () => client.connect(ticketFor(native, name)));
      ours.push(client);
    }
    ours[1].messages.on("message", () => {});
    await timed("native receipt", async () => {
      const { message: text } = ours[0].messages.conversation(grace).send("a text");
      await new Promise((resolve) => text.on("state", ({ state }) => state === "delivered" && resolve()));
    });
    for (const client of ours) client.disconnect();
  }
  return Object.fromEntries(Object.entries(samples).map(([name, all]) => [name, quantiles(all)]));
}

const result = await { polls, rate, sdk }[what]();
fs.writeFileSync(file, JSON.stringify(result));
process.exit(0); // which ends the servers
