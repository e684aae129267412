// Backup and restore, killed in the middle or without room: nothing is left half.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { backUp, beside, done, people, restore, settings, sql, storeOf } from "../support/backup.mjs";
import { Device } from "../support/inbox.mjs";
import { cleanEnvironment, execute, program, root, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";
import { within } from "../support/waiting.mjs";

/** Starts the command and kills it when `wanted(n, name)` says so of the n-th change in `folder`. True: it was killed. */
async function killWhen(folder, wanted, args) {
  const child = spawn(program, args, { env: cleanEnvironment(), stdio: "ignore" });
  const exit = new Promise((resolve) => child.once("close", (code, signal) => resolve(signal)));
  let changes = 0;
  const watcher = fs.watch(folder, (event, name) => {
    if (wanted(++changes, name)) child.kill("SIGKILL");
  });
  const signal = await within(exit, "the end of a command that was killed");
  watcher.close();
  return signal === "SIGKILL";
}

test("kill -9 of a backup leaves the file of before or the new one, and the next one is not in its way", async () => {
  const server = await startServer({ settings });
  const { sender, bob } = await people(server);
  const file = await backUp(server);
  const old = fs.readFileSync(file);
  await sender.sent(bob, "x".repeat(30_000));
  let killed = 0;
  for (let count = 1; count < 60; count += 4) {
    const args = ["backup", file, "--force", "--data-dir", server.dataDir];
    if (await killWhen(path.dirname(file), (changes) => changes === count, args)) ++killed;
    assert.equal(await sql(file, "PRAGMA integrity_check"), "ok", `killed at change ${count}`);
    const now = fs.readFileSync(file);
    assert.ok(now.equals(old) || now.length > old.length, "the old one or a new one");
  }
  assert.ok(killed > 0, "some of them were killed");
  await done(server.command(["backup", file, "--force"]));
  assert.deepEqual(fs.readdirSync(path.dirname(file)), ["countersign.db"]);
});

test("kill -9 of a restore leaves the old store or the new one, whole", async () => {
  const server = await startServer({ settings });
  const { sender, bob } = await people(server);
  const file = await backUp(server);
  await sender.sent(bob, "only in the present store");
  await server.kill();
  const whole = fs.readFileSync(storeOf(server));
  const log = fs.existsSync(`${storeOf(server)}-wal`) ? fs.readFileSync(`${storeOf(server)}-wal`) : undefined;
  const count = () => sql(storeOf(server), "PRAGMA integrity_check; SELECT count(*) FROM messages");
  const outcomes = { 5: 0, 6: 0 };
  const attempt = async (wanted, what) => {
    // The store of before, as the killed server left it.
    for (const name of beside(server)) fs.rmSync(path.join(server.dataDir, name));
    for (const suffix of ["-wal", "-shm", "-journal"]) fs.rmSync(storeOf(server) + suffix, { force: true });
    fs.rmSync(storeOf(server));
    fs.writeFileSync(storeOf(server), whole, { mode: 0o600 });
    if (log) fs.writeFileSync(`${storeOf(server)}-wal`, log, { mode: 0o600 });
    const killed = await killWhen(server.dataDir, wanted, ["restore", file, "--data-dir", server.dataDir]);
    const [verdict, messages] = (await count()).split("\n");
    assert.equal(verdict, "ok", what);
    ++outcomes[messages];
    assert.deepEqual(Object.keys(outcomes), ["5", "6"], what);
    return killed;
  };
  // At ever later moments, until one is late enough to be done.
  for (let at = 1; await attempt((changes) => changes === at, `killed at change ${at}`); at = Math.ceil(at * 1.3));
  // About the last step, where the store of before has its second name and the new one takes its place.
  for (let round = 0; round < 8; ++round) await attempt((_, name) => name.includes(".before-restore-"), "killed at the last step");
  assert.ok(outcomes[5] > 0 && outcomes[6] > 0, JSON.stringify(outcomes));
  const told = JSON.parse((await done(restore(server, file))).stdout);
  assert.equal(fs.statSync(told.keptAs).nlink, 1, "no other name of the new store");
  assert.equal(fs.statSync(storeOf(server)).nlink, 1);
  await server.restart();
  assert.ok((await Device.connect(server, bob)).inbox.top >= 5);
});

test("a full disk leaves nothing half: neither of a backup nor of a restore", async () => {
  const folder = temporaryFolder("full");
  const library = path.join(folder, "small_disk.so");
  await done(execute("gcc", ["-shared", "-fPIC", "-o", library, path.join(root, "tests/support/small_disk.c"), "-ldl"]));
  const server = await startServer({ settings });
  const { reader } = await people(server);
  const good = await backUp(server);
  const target = temporaryFolder("full");
  const env = { LD_PRELOAD: library, SMALL_DISK: target, SMALL_DISK_BYTES: String(100_000) };
  const refused = await server.command(["backup", path.join(target, "backup.db")], { env });
  assert.equal(refused.code, 1, refused.stdout);
  assert.match(refused.stderr, /The store has no room/);
  assert.deepEqual(fs.readdirSync(target), []);

  assert.equal((await server.stop()).code, 0);
  const used = fs.readdirSync(server.dataDir).reduce((sum, name) => sum + fs.statSync(path.join(server.dataDir, name)).size, 0);
  const tight = { ...env, SMALL_DISK: server.dataDir, SMALL_DISK_BYTES: String(used + 100_000) };
  const restored = await server.command(["restore", good], { env: tight });
  assert.equal(restored.code, 1, restored.stdout);
  assert.match(restored.stderr, /The store has no room/);
  assert.deepEqual(beside(server), []);
  await server.restart();
  assert.equal((await reader.again()).inbox.recovered, true);
});
