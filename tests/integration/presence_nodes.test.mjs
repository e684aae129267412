// Presence over two nodes: whichever node the backend asks, it hears of the devices at both, and
// when a node cannot be heard it hears that.
import assert from "node:assert/strict";
import test from "node:test";
import { pathOf } from "../support/application.mjs";
import { Cluster } from "../support/cluster.mjs";
import { Device, user } from "../support/inbox.mjs";
import { startNats } from "../support/nats.mjs";
import { newName } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { eventually } from "../support/waiting.mjs";

const postgres = await startPostgres();
const settings = { "messages.unknown_users": "keep", "limits.server_api_per_second": 10_000 };

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
  const nats = await startNats();
  const cluster = await Cluster.start({ postgres, nats, settings });
  const nodes = await cluster.nodes(2);
  for (const n of [0, 1]) {
    const name = newName("meeting");
    const device = await Device.connect(nodes[1 - n], name);
    await becomes(nodes[n], name, "online", 1, true);
    await device.gateway.command("terminate", {});
  }
  return { cluster, nats, nodes };
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
  const { nats, nodes } = await twoNodes();
  const [north, south] = nodes;
  const [ann, bob] = [newName("ann"), newName("bob")];
  await Device.connect(north, ann);
  await Device.connect(south, bob);
  await becomes(north, bob, "online", 1, true);

  await nats.kill();
  const states = [
    await becomes(north, bob, "unknown", 0, false),
    await becomes(south, ann, "unknown", 0, false),
    await becomes(north, ann, "online", 1, false),
    await becomes(south, bob, "online", 1, false),
  ];
  await nats.start();
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
