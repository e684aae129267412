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

/** How many were accepted, as the last summary says. */
const accepted = (output) => Number([...output.matchAll(/(\d+) accepted/g)].at(-1)?.[1] ?? 0);

test("One node with SQLite, killed every few seconds, loses nothing it acknowledged", async () => {
  const output = await ledger("single", "--seconds", "20", "--rate", "200", "--users", "12", "--fault-every", "3", "--seed", "20260101");
  assert.match(output, /every promise held/);
  assert.match(output, /\d+ x kill -9 of the server/);
  assert.ok(accepted(output) > 1000, output);
});

test("So does one whose groups are so large that jobs fan out", async () => {
  const output = await ledger("single", "--seconds", "15", "--rate", "100", "--users", "130", "--devices", "1", "--fault-every", "4", "--seed", "20260102");
  assert.match(output, /every promise held/);
  assert.ok(accepted(output) > 500, output);
});

test("So do two nodes with PostgreSQL and three NATS servers, of which any is killed, paused or cut off", async () => {
  const output = await ledger("cluster", "--seconds", "35", "--rate", "100", "--users", "12", "--fault-every", "5", "--seed", "20260103");
  assert.match(output, /every promise held/);
  assert.ok(accepted(output) > 500, output);
});
