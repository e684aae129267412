// A short ledger: people talk while the server is killed again and again, and nothing acknowledged is
// lost. The long one has its own command; docs/operations/durability.md says how to run it.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { execute, program, root } from "../support/process.mjs";

async function ledger(...args) {
  const done = await execute(process.execPath, [path.join(root, "tests/ledger/run.mjs"), "--messages", "0", ...args], {
    env: { COUNTERSIGN_BIN: program, COUNTERSIGN_ROOT: root },
  });
  assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
  return done.stdout;
}

/** How many were accepted, connects, … as the last summary says. */
const counted = (output, what) => Number([...output.matchAll(new RegExp(`(\\d+) ${what}`, "g"))].at(-1)?.[1] ?? 0);
const accepted = (output) => counted(output, "accepted");

/** How often each kind of fault happened, to its end. */
const faults = (output) => Object.fromEntries([...output.matchAll(/s {2}(\d+) x (.+)/g)].map(([, count, name]) => [name, Number(count)]));

const onEveryMachine = [
  "kill -9 of one of six",
  "kill -9 of a gateway",
  "kill -9 of PostgreSQL",
  "pause of one of six",
  "pause of PostgreSQL",
];
const partitions = ["one of six cut off", "a gateway and PostgreSQL apart", "a gateway and a NATS server apart"];

test("One node with SQLite, killed every few seconds, loses nothing it acknowledged", async () => {
  const output = await ledger("single", "--seconds", "20", "--rate", "200", "--users", "12", "--fault-every", "3", "--seed", "20260101");
  assert.match(output, /every promise held/);
  assert.ok(faults(output)["kill -9 of the server"] >= 3, output);
  assert.ok(counted(output, "connects") >= 24 * 4, `everybody comes back after each kill: ${output}`);
  assert.ok(counted(output, "reads") > 0 && counted(output, "receipts") > 0, output);
  assert.ok(accepted(output) > 1000, output);
});

test("So does one whose groups are so large that jobs fan out", async () => {
  const output = await ledger("single", "--seconds", "15", "--rate", "100", "--users", "130", "--devices", "1", "--fault-every", "4", "--seed", "20260102");
  assert.match(output, /every promise held/);
  assert.ok(faults(output)["kill -9 of the server"] >= 1, output);
  assert.ok(accepted(output) > 500, output);
});

test("So do two nodes with PostgreSQL and three NATS servers, of which any is killed, paused or cut off", async () => {
  const output = await ledger("cluster", "--seconds", "20", "--rate", "100", "--users", "12", "--fault-every", "2", "--seed", "20260103");
  assert.match(output, /every promise held/);
  const canPart = process.getuid() === 0;
  if (!canPart) assert.match(output, /without root .* nobody is cut off/);
  assert.deepEqual(Object.keys(faults(output)).sort(), [...onEveryMachine, ...(canPart ? partitions : [])].sort(), output);
  assert.ok(counted(output, "connects") > 24, `nobody noticed any fault: ${output}`);
  assert.ok(accepted(output) > 500, output);
});
