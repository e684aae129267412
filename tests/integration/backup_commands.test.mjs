// The commands of backup and restore: what they make, what they refuse, and what they leave as it was.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { backUp, beside, done, newFile, people, restore, settings, sql, storeOf } from "../support/backup.mjs";
import { Device } from "../support/inbox.mjs";
import { countersign, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";
import { within } from "../support/waiting.mjs";

test("a backup is private, whole, names what it leaves out, and replaces nothing unasked", async () => {
  const server = await startServer({ settings });
  await people(server);
  const file = newFile();
  const told = await done(server.command(["backup", file]));
  assert.match(told.stdout, /Not in it/);
  for (const name of ["master.key", "app.secret"]) assert.ok(told.stdout.includes(path.join(server.dataDir, name)));
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(path.dirname(file)), ["countersign.db"], "one file, no log beside it");
  assert.equal(await sql(file, "PRAGMA integrity_check"), "ok");
  const bytes = fs.readFileSync(file);
  for (const name of ["master.key", "app.secret"]) {
    assert.equal(bytes.indexOf(fs.readFileSync(path.join(server.dataDir, name), "utf8").trim()), -1, name);
  }
  const again = await server.command(["backup", file]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /exists already.*--force/);
  assert.ok(fs.readFileSync(file).equals(bytes), "it is untouched");
  const forced = JSON.parse((await done(server.command(["backup", file, "--force", "--json"]))).stdout);
  assert.equal(forced.bytes, fs.statSync(file).size);
  assert.deepEqual(forced.notIncluded.map((each) => path.basename(each)), ["master.key", "app.key", "app.secret"]);
  const self = await server.command(["backup", storeOf(server), "--force"]);
  assert.equal(self.code, 2);
  assert.match(self.stderr, /is the store itself/);
  assert.equal((await server.command(["backup", "/proc/nowhere/file"])).code, 1);
  const absent = await countersign(["backup", newFile(), "--data-dir", temporaryFolder("backup")]);
  assert.equal(absent.code, 3, absent.stderr);
});

test("a rehearsal runs beside the server and changes nothing", async () => {
  const server = await startServer({ settings });
  const { reader } = await people(server);
  const file = await backUp(server);
  const before = fs.readFileSync(file);
  const told = await done(server.command(["restore", file, "--dry-run"]));
  assert.match(told.stdout, /it can be restored/);
  assert.ok(fs.readFileSync(file).equals(before));
  assert.deepEqual(beside(server), []);
  await reader.drop();
  assert.equal((await reader.again()).inbox.recovered, true);
  const serving = await restore(server, file);
  assert.equal(serving.code, 1);
  assert.match(serving.stderr, /Another server uses this data directory/);
});

test("what is no backup of this store is refused, and the store stays as it is", async () => {
  const server = await startServer({ settings });
  const { reader } = await people(server);
  const good = await backUp(server);
  assert.equal((await server.stop()).code, 0);
  const store = fs.readFileSync(storeOf(server));
  const files = {
    absent: newFile(),
    folder: temporaryFolder("backup"),
    empty: newFile("empty.db"),
    text: newFile("text.db"),
    truncated: newFile("truncated.db"),
    damaged: newFile("damaged.db"),
    foreign: newFile("foreign.db"),
    newer: newFile("newer.db"),
  };
  const bytes = fs.readFileSync(good);
  fs.writeFileSync(files.empty, "");
  fs.writeFileSync(files.text, "this is no database\n".repeat(1000));
  fs.writeFileSync(files.truncated, bytes.subarray(0, 5 * 4096));
  fs.writeFileSync(files.damaged, Buffer.concat([bytes.subarray(0, 20 * 4096), Buffer.alloc(40 * 4096, 0x5a), bytes.subarray(60 * 4096)]));
  await sql(files.foreign, "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')");
  fs.copyFileSync(good, files.newer);
  await sql(files.newer, "INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'abc', 0)");
  const expected = {
    absent: [3, /No such file/],
    folder: [3, /is not a file/],
    empty: [3, /holds no store/],
    text: [3, /text\.db/],
    truncated: [3, /truncated\.db/],
    damaged: [3, /damaged/],
    foreign: [1, /another program/],
    newer: [1, /9999/],
  };
  for (const [name, [code, text]] of Object.entries(expected)) {
    const refused = await restore(server, files[name]);
    assert.equal(refused.code, code, `${name}: ${refused.stderr}`);
    assert.match(refused.stderr, text, name);
    assert.equal(refused.stderr.trim().split("\n").length, 1, refused.stderr);
    assert.deepEqual(beside(server), [], name);
  }
  // Another master key.
  const key = path.join(server.dataDir, "master.key");
  const right = fs.readFileSync(key);
  const elsewhere = await startServer({ settings });
  fs.copyFileSync(path.join(elsewhere.dataDir, "master.key"), key);
  const mismatch = await restore(server, good);
  assert.equal(mismatch.code, 1);
  assert.match(mismatch.stderr, /master key is not the one/);
  fs.rmSync(key);
  assert.equal((await restore(server, good)).code, 3, "without the key");
  fs.writeFileSync(key, right, { mode: 0o600 });

  const wrong = await server.command(["restore"]);
  assert.equal(wrong.code, 2);
  assert.equal((await server.command(["restore", good, "--in-place"])).code, 2);
  assert.equal((await restore(server, storeOf(server))).code, 2);
  assert.ok(fs.readFileSync(storeOf(server)).equals(store), "after all this the store is what it was");
  await server.restart();
  assert.equal((await reader.again()).inbox.recovered, true);
});

test("a store that is damaged, or has been deleted, is replaced all the same, and kept", async () => {
  const server = await startServer({ settings });
  const { bob } = await people(server);
  const file = await backUp(server);
  await server.kill();
  fs.writeFileSync(storeOf(server), "broken ".repeat(1000));
  const told = JSON.parse((await done(restore(server, file))).stdout);
  assert.ok(fs.readFileSync(told.keptAs, "utf8").startsWith("broken"));
  await server.restart();
  assert.ok((await Device.connect(server, bob)).inbox.top >= 5);
  await server.kill();
  fs.rmSync(storeOf(server));
  const second = JSON.parse((await done(restore(server, file))).stdout);
  assert.equal(second.keptAs, undefined);
  await server.restart();
  assert.ok((await Device.connect(server, bob)).inbox.top >= 5, "no log of the deleted store got into the new one");
});

test("somebody else who has the store open is noticed", async () => {
  const server = await startServer({ settings });
  await people(server);
  const file = await backUp(server);
  assert.equal((await server.stop()).code, 0);
  const holder = spawn("sqlite3", [storeOf(server)], { stdio: ["pipe", "pipe", "inherit"] });
  const exit = new Promise((resolve) => holder.once("close", resolve));
  holder.stdin.write("BEGIN; SELECT count(*) FROM accounts;\n");
  await within(new Promise((resolve) => holder.stdout.once("data", resolve)), "the reader");
  const refused = await restore(server, file);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /another program has it open/);
  assert.deepEqual(beside(server), []);
  holder.stdin.end();
  await within(exit, "the end of the reader");
  await done(restore(server, file));
});

test("a PostgreSQL store is backed up its own way, and the refusal says which", async () => {
  const args = ["--set", "storage.url=postgresql://countersign@127.0.0.1:1/none", "--data-dir", path.join(temporaryFolder("backup"), "var")];
  for (const command of [["backup", newFile()], ["restore", newFile()]]) {
    const refused = await countersign([...command, ...args]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /pg_basebackup.*pg_dump.*restore --in-place/);
  }
});
