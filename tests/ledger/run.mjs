#!/usr/bin/env node
// Runs a ledger: clients that log every send, acknowledgement, delivery and receipt while servers
// are killed, paused and cut off, and the proof that nothing acknowledged was lost.
//
//   tests/ledger/run.mjs single  [--seconds 1800] [--messages 1000000] [--rate 600] [--fault-every 5] [--seed 1]
//   tests/ledger/run.mjs cluster [the same]
//
// It goes on until the seconds are over, so many messages were accepted and each kind of fault has happened.
// Exit status 0 if every promise held. Source: docs/operations/durability.md.
import { parseArgs } from "node:util";
import { World } from "./world.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "1800" },
    messages: { type: "string", default: "1000000" },
    rate: { type: "string", default: "600" },
    users: { type: "string", default: "40" },
    devices: { type: "string", default: "2" },
    "fault-every": { type: "string", default: "5" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const [kind] = positionals;
const rigs = {
  single: async () => (await import("./rig_single.mjs")).singleRig(),
  cluster: async () => (await import("./rig_cluster.mjs")).clusterRig(),
};
if (rigs[kind] === undefined || positionals.length !== 1) {
  console.error(`usage: run.mjs ${Object.keys(rigs).join("|")} [--seconds N] [--messages N] [--rate N] [--fault-every N] [--seed N]`);
  process.exit(2);
}

const started = performance.now();
const report = (text) => console.log(`${((performance.now() - started) / 1000).toFixed(0).padStart(6)} s  ${text}`);
const rig = await rigs[kind]();
report(`seed ${values.seed}`);
if (rig.notice) report(rig.notice);
const world = new World(rig, {
  users: Number(values.users),
  devices: Number(values.devices),
  groups: 5,
  groupSize: 8,
  largeGroupSize: Number(values.users),
  rate: Number(values.rate),
  seed: Number(values.seed),
});
await world.begin();
await world.talk({ seconds: Number(values.seconds), messages: Number(values.messages), faultEvery: Number(values["fault-every"]), report });
report("no more faults: every device catches up");
const violations = await world.settle({ seconds: 300, report });
world.stop();
await rig.stop();

report(world.summary((performance.now() - started) / 1000));
for (const [name, count] of Object.entries(world.faults)) report(`${count} x ${name}`);
for (const violation of violations) console.log(`VIOLATION ${violation}`);
console.log(violations.length === 0 ? "every promise held" : `${violations.length + (world.ledger.violationsBeyond ?? 0)} violations`);
process.exit(violations.length === 0 ? 0 : 1);
