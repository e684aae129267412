// Presence over two nodes: whichever node the backend asks, it hears of the devices at both, and
// when a node cannot be heard it hears that.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Backend, pathOf } from "../support/application.mjs";
import { Device, user } from "../support/inbox.mjs";
import { startNats } from "../support/nats.mjs";
import { newName } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";

const postgres = await startPostgres();

/** One service: a database, a bus, and nodes that are started one by one. */
class Cluster {
  static async start() {
    const self = new Cluster();
    self.nats = await startNats();
    self.database = await postgres.database();
    self.folder = temporaryFolder("application");
    self.key = crypto.randomUUID();
    self.secret = plant("application secret", crypto.randomBytes(24).toString("base64"));
    const file = path.join(self.folder, "secret");
    fs.writeFileSync(file, `${self.secret}\n`, { mode: 0o600 });
    self.settings = {
      "messages.unknown_users": "keep",
      "limits.server_api_per_second": 10_000,
      "application.key": self.key,
      "application.secret_file": file,
      "bus.url": self.nats.url,
    };
    return self;
  }

  async node() {
    const dataDir = path.join(temporaryFolder("node"), "var");
    fs.mkdirSync(dataDir, { mode: 0o700 });
    const master = path.join(this.folder, "master.key");
    if (fs.existsSync(master)) fs.copyFileSync(master, path.join(dataDir, "master.key"));
    const env = { COUNTERSIGN_STORAGE__URL: this.database.url };
    const server = await startServer({ dataDir, settings: this.settings, env });
    fs.copyFileSync(path.join(dataDir, "master.key"), master);
    server.backend = new Backend(server, this);
    return Object.assign(server, { applicationKey: this.key, applicationSecret: this.secret });
  }
}

const presenceAt = async (node, name) => (await node.backend.get(`${pathOf(user(name))}/presence`)).json;
const stateAt = async (node, name) => {
  const { state, devices, complete } = await presenceAt(node, name);
  return [state, devices, complete];
};

/** Waits until the node gives this answer. Gives all the states that it gave on the way. */
async function becomes(node, name, ...wanted) {
  const states = new Set();
  await eventually(
    () => stateAt(node, name),
    (is) => states.add(is[0]) && JSON.stringify(is) === JSON.stringify(wanted),
    `${wanted.join(" ")} for ${name}`,
  );
  return [...states];
}

/** Two nodes that know of each other. */
async function twoNodes() {
  const cluster = await Cluster.start();
  const nodes = [await cluster.node(), await cluster.node()];
  for (const n of [0, 1]) {
    const name = newName("meeting");
    const device = await Device.connect(nodes[1 - n], name);
    await becomes(nodes[n], name, "online", 1, true);
    await device.gateway.command("terminate", {});
  }
  return { cluster, nodes };
}

test("each node answers for both", async () => {
  const { nodes } = await twoNodes();
  const [north, south] = nodes;
  const [ann, nobody] = [newName("ann"), newName("nobody")];
  for (const node of nodes) {
    assert.deepEqual(await presenceAt(node, nobody), { state: "offline", devices: 0, complete: true });
  }

  const phone = await Device.connect(south, ann, { device: "phone" });
  for (const node of nodes) await becomes(node, ann, "online", 1, true);
  const tab = await Device.connect(north, ann, { device: "tab" });
  for (const node of nodes) await becomes(node, ann, "online", 2, true);

  for (const device of [phone, tab]) await device.gateway.command("presence.set", { state: "away" });
  for (const node of nodes) await becomes(node, ann, "away", 2, true);

  const before = Date.now();
  for (const device of [tab, phone]) await device.gateway.command("terminate", {});
  for (const node of nodes) await becomes(node, ann, "offline", 0, true);
  const [here, there] = await Promise.all(nodes.map((node) => presenceAt(node, ann)));
  assert.equal(here.last_seen, there.last_seen, "both say when the last device left");
  assert.ok(Date.parse(here.last_seen) >= before - 1, here.last_seen);
});

test("without the bus nobody is called offline, and with it again the answer is whole", async () => {
  const { cluster, nodes } = await twoNodes();
  const [north, south] = nodes;
  const [ann, bob] = [newName("ann"), newName("bob")];
  await Device.connect(north, ann);
  await Device.connect(south, bob);
  await becomes(north, bob, "online", 1, true);

  await cluster.nats.kill();
  const states = [
    await becomes(north, bob, "unknown", 0, false),
    await becomes(south, ann, "unknown", 0, false),
    await becomes(north, ann, "online", 1, false),
    await becomes(south, bob, "online", 1, false),
  ];
  await cluster.nats.start();
  states.push(await becomes(north, bob, "online", 1, true), await becomes(south, ann, "online", 1, true));
  assert.deepEqual(new Set(states.flat()), new Set(["online", "unknown"]));
});

test("a node that died makes the answer incomplete, one that was stopped does not", async () => {
  const { cluster, nodes } = await twoNodes();
  const [north, south] = nodes;
  const bob = newName("bob");
  await Device.connect(south, bob);
  await becomes(north, bob, "online", 1, true);
  await south.stop();
  await becomes(north, bob, "offline", 0, true);

  const west = await cluster.node();
  await Device.connect(west, bob);
  await becomes(north, bob, "online", 1, true);
  await west.kill();
  assert.deepEqual(await stateAt(north, bob), ["unknown", 0, false]);
});
