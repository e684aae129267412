// The faults of a ledger run: the seed alone decides them, none is forgotten, and what is paused stands still.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import { startPostgres } from "../support/postgres.mjs";
import { Arrivals, eventually } from "../support/waiting.mjs";
import { FaultPlan, clusterFaults } from "../ledger/faults.mjs";
import { pauseTree, processTree, resumeTree, stands } from "../ledger/process_tree.mjs";
import { Random } from "../ledger/random.mjs";
import { World } from "../ledger/world.mjs";

const planned = (plan, count) => Array.from({ length: count }, () => plan.next());

test("The same seed plans the same faults, another seed others", () => {
  const of = (seed) => planned(new FaultPlan(clusterFaults(true), new Random(seed), 5), 200);
  assert.deepEqual(of(7), of(7));
  assert.notDeepEqual(of(7), of(8));
});

test("What people say does not change the faults of a seed", () => {
  const of = (words) => {
    const world = new World({ nodes: [], faults: clusterFaults(true) }, { seed: 7 });
    for (let word = 0; word < words; word++) world.random.next();
    return planned(new FaultPlan(world.rig.faults, world.faultRandom, 5), 50);
  };
  assert.deepEqual(of(0), of(1000));
});

test("Each kind comes once before any comes again", () => {
  for (const canPart of [true, false]) {
    const kinds = clusterFaults(canPart);
    for (let seed = 0; seed < 100; seed++) {
      const first = planned(new FaultPlan(kinds, new Random(seed), 5), kinds.length).map(({ name }) => name);
      assert.deepEqual(first.sort(), kinds.map(({ name }) => name).sort(), `seed ${seed}`);
    }
  }
});

test("A PostgreSQL that is paused stands still with all its sessions, and they go on afterwards", async () => {
  const server = await startPostgres();
  const session = spawn("psql", ["-h", server.folder, "-p", String(server.port), "-U", "postgres", "--no-psqlrc", "-qAt"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = new Arrivals();
  session.stdout.setEncoding("utf8").on("data", (text) => text.trim().split("\n").forEach((line) => lines.add(line)));
  session.stdin.write("SELECT pg_backend_pid();\n");
  const backend = Number(await lines.first(() => true, "the session's process"));
  assert.equal(stands(backend), false);

  const { pid } = server.process;
  try {
    await pauseTree(pid);
    const tree = processTree(pid);
    assert.ok(tree.includes(backend), `${backend} is not among ${tree}`);
    assert.deepEqual(
      tree.filter((one) => !stands(one)),
      [],
    );
  } finally {
    resumeTree(pid);
  }
  session.stdin.end("SELECT 6 * 7;\n");
  await lines.first((line) => line === "42", "the session's answer");
  await eventually(
    async () => processTree(pid).filter(stands),
    (standing) => standing.length === 0,
    "everybody to go on",
  );
});
