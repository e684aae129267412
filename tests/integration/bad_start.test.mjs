// A server that starts badly, or whose disk fills: one clear line, and never half a start.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { countersign, execute, temporaryFolder } from "../support/process.mjs";
import { freePort, refusedStart, startServer } from "../support/server.mjs";
import { smallDisk } from "../support/small_disk.mjs";
import { assertProblem } from "../support/victim.mjs";
import { Gateway } from "../support/websocket.mjs";

const server = await startServer();

function folderWith(files) {
  const folder = temporaryFolder("start");
  for (const [name, [text, mode]] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text, { mode });
  return folder;
}

function assertOneLine(outcome, code, pattern) {
  assert.equal(outcome.code, code, outcome.stderr);
  const lines = outcome.stderr.split("\n").filter((line) => line.startsWith("countersign: "));
  assert.equal(lines.length, 1, outcome.stderr);
  assert.match(lines[0], pattern);
}

test("a missing secret file is named, exit 3", async () => {
  const outcome = await refusedStart({
    settings: { "application.key": crypto.randomUUID(), "application.secret_file": "/nonexistent/app.secret" },
  });
  assertOneLine(outcome, 3, /\/nonexistent\/app\.secret/);
});

test("an unreadable secret file is named, exit 3", async () => {
  const folder = temporaryFolder("start"); // a folder cannot be read as a file, not even by root
  const outcome = await refusedStart({
    settings: { "application.key": crypto.randomUUID(), "application.secret_file": folder },
  });
  assertOneLine(outcome, 3, new RegExp(folder));
});

for (const [what, text] of Object.entries({
  "not base64": "this is not base64!",
  "shorter than 16 bytes": Buffer.alloc(15, 7).toString("base64"),
  empty: "",
})) {
  test(`a secret that is ${what} is refused, exit 3, and not shown`, async () => {
    const folder = folderWith({ secret: [text, 0o600] });
    const outcome = await refusedStart({
      settings: { "application.key": crypto.randomUUID(), "application.secret_file": path.join(folder, "secret") },
    });
    assertOneLine(outcome, 3, /secret/);
    if (text !== "") assert.ok(!outcome.stderr.includes(text));
  });
}

test("a lost secret of ours is an error, not a new secret", async () => {
  const lost = await startServer();
  await lost.stop();
  fs.rmSync(path.join(lost.dataDir, "app.secret"));
  const outcome = await refusedStart({ dataDir: lost.dataDir });
  assertOneLine(outcome, 3, /app\.secret/);
});

test("an unwritable data directory is named, exit 1", async () => {
  const folder = folderWith({ file: ["", 0o600] });
  const outcome = await refusedStart({ dataDir: path.join(folder, "file", "var") });
  assertOneLine(outcome, 1, new RegExp(path.join(folder, "file")));
});

test("a port in use is one clear line, exit 1", async () => {
  const outcome = await refusedStart({ listen: `localhost:${server.port}` });
  assertOneLine(outcome, 1, new RegExp(`in use.*${server.port}|${server.port}.*in use`));
});

test("a data directory in use is refused, exit 1", async () => {
  const outcome = await refusedStart({ dataDir: server.dataDir });
  assertOneLine(outcome, 1, /Another server uses this data directory/);
});

test("another master key than the store's is refused", async () => {
  const other = await startServer();
  await other.stop();
  fs.writeFileSync(path.join(other.dataDir, "master.key"), `${crypto.randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
  const outcome = await refusedStart({ dataDir: other.dataDir });
  assertOneLine(outcome, 1, /master key/);
});

for (const [what, text] of Object.entries({
  "no base64": "garbage! and nothing but garbage, forty characters",
  "too short": Buffer.alloc(31, 7).toString("base64url"),
  "too long": Buffer.alloc(33, 7).toString("base64url"),
  empty: "",
})) {
  test(`a master key that is ${what} is one clear line, exit 3, for the server and for commands`, async () => {
    const dataDir = path.join(temporaryFolder("start"), "var");
    assert.equal((await countersign(["migrate", "--data-dir", dataDir])).code, 0);
    const broken = await startServer({ dataDir });
    await broken.stop();
    fs.writeFileSync(path.join(dataDir, "master.key"), `${text}\n`);
    const outcomes = [await refusedStart({ dataDir })];
    for (const args of [["user", "list"], ["user", "add", newName()], ["app", "create", "x"], ["app", "list"]]) {
      outcomes.push(await countersign([...args, "--data-dir", dataDir], { input: `${newPassword()}\n` }));
    }
    for (const outcome of outcomes) {
      assertOneLine(outcome, 3, /master\.key/);
      if (text !== "") assert.ok(!outcome.stderr.includes(text));
    }
    assert.equal(fs.readFileSync(path.join(dataDir, "master.key"), "utf8"), `${text}\n`, "it is not replaced");
  });
}

test("an unknown setting is named, with the nearest known one, wherever it stands", async () => {
  const folder = folderWith({ "a.toml": ["[server]\nlistenn = \"localhost:0\"\n", 0o600] });
  const file = path.join(folder, "a.toml");
  const inFile = await countersign(["serve", "--config", file, "--data-dir", path.join(folder, "var")]);
  assertOneLine(inFile, 2, /server\.listenn.*server\.listen\b/);
  assert.match(inFile.stderr, /a\.toml/);
  const asFlag = await refusedStart({ settings: { "gateway.tiket_policy": "strict" } });
  assertOneLine(asFlag, 2, /gateway\.tiket_policy.*gateway\.ticket_policy/);
  const bad = await refusedStart({ settings: { "gateway.ticket_policy": "lenient" } });
  assertOneLine(bad, 2, /gateway\.ticket_policy.*default, strict/);
  const number = await refusedStart({ settings: { "limits.max_connections": "many" } });
  assertOneLine(number, 2, /limits\.max_connections/);
  const port = await refusedStart({ listen: "localhost:99999" });
  assertOneLine(port, 2, /server\.listen/);
});

test("settings below the floor of password hashing are refused", async () => {
  const outcome = await refusedStart({ settings: { "accounts.argon2_memory_kib": 1024 } });
  assertOneLine(outcome, 2, /argon2_memory_kib/);
});

test("a certificate without its key, and one that is none, are refused", async () => {
  const folder = folderWith({ "cert.pem": ["nonsense", 0o600], "key.pem": ["nonsense", 0o600] });
  const certificate = path.join(folder, "cert.pem");
  const half = await refusedStart({ settings: { "server.tls_certificate": certificate } });
  assertOneLine(half, 2, /tls/);
  const none = await refusedStart({
    settings: { "server.tls_certificate": certificate, "server.tls_key": path.join(folder, "key.pem") },
  });
  assertOneLine(none, 1, /cert/);
});

// A full disk: everywhere by a library that plays one, and on a small file system where one may be mounted.

/** Fills it by signing people up: who was told yes, and what the first was told who was not. */
async function signUpUntilFull(small) {
  const accepted = [];
  for (let i = 0; i < 2000; ++i) {
    const name = newName();
    const password = newPassword();
    const client = small.client();
    const answer = await client.post("/users/sign_up", {
      json: { username: name, password },
      headers: { accept: "application/json" },
    });
    client.close();
    if (answer.status !== 303) return { accepted, refused: { name, password, answer } };
    accepted.push(name);
  }
  throw new Error("it never filled");
}

/** What holds of every full disk. `makeRoom` ends it. */
async function assertFullAndBack(small, makeRoom) {
  const person = await newPerson(small);
  const leaving = await newPerson(small);
  const gateway = await Gateway.connect(small, await person.client.ticket());
  const { accepted, refused } = await signUpUntilFull(small);
  assertProblem(refused.answer, 503, 721);
  await small.logged({ event: "store_full", level: "warning" });
  assert.deepEqual(refused.answer.setCookies.filter((line) => line.includes("cs_session=") && !/max-age=0/i.test(line)), []);
  // What needs no room goes on, and ending a session has room kept for it.
  assert.equal((await small.client().get("/healthz")).status, 200);
  assert.equal((await person.client.post("/v1/tickets", { json: {} })).status, 200);
  assert.deepEqual((await gateway.command("ping")).ping, {});
  const copy = leaving.client.copy();
  assert.equal((await leaving.client.signOut()).status, 303);
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
  await small.logged({ event: "store_full", level: "warning" });

  await makeRoom();
  // The same server, without a restart; then after a hard one. Who was told yes is there.
  const late = await newPerson(small);
  // Who was told no has left nothing behind.
  const again = await small.client().signUp(refused.name, refused.password);
  assert.equal(again.status, 303, again.body);
  await gateway.close();
  await small.kill();
  await small.restart();
  const people = JSON.parse((await small.command(["user", "list", "--json"])).stdout).map((row) => row.userName);
  const expected = [person.name, leaving.name, ...accepted, late.name, refused.name];
  assert.deepEqual(people.sort(), expected.sort());
  assert.equal((await small.client().signIn(late.name, late.password)).status, 303);
  const back = await Gateway.connect(small, gateway.credential);
  assert.equal(back.instance, gateway.instance);
  await back.close();
}

test("a full disk, played: sign-up is refused with 721, nothing is lost, and room ends it", async () => {
  const disk = await smallDisk(5_000_000);
  const small = await startServer(disk.options);
  await assertFullAndBack(small, async () => disk.makeRoom());
});

const mount = temporaryFolder("full");
const mounted = await execute("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", mount]);
if (mounted.code === 0) {
  test("a full disk, on a small file system: sign-up is refused with 721, nothing is lost, and room ends it", async (t) => {
    t.after(() => execute("umount", ["-l", mount]));
    const small = await startServer({ dataDir: path.join(mount, "var") });
    const filler = path.join(mount, "filler");
    const file = fs.openSync(filler, "w");
    // Room for some people, so that it fills in the middle of work.
    const free = fs.statfsSync(mount);
    for (let left = free.bavail * free.bsize - 400_000; left > 0; left -= 4096) fs.writeSync(file, Buffer.alloc(4096, 1));
    fs.closeSync(file);
    await assertFullAndBack(small, async () => fs.rmSync(filler));
  });
}

test("a port that only was in use is free again after kill -9", async () => {
  const port = await freePort();
  const first = await startServer({ listen: `localhost:${port}` });
  const client = first.client();
  await client.get("/healthz"); // leaves a connection behind
  await first.kill();
  await first.restart();
  assert.equal(first.port, port);
  const probe = net.connect(port, "127.0.0.1");
  await new Promise((resolve) => probe.once("connect", resolve));
  probe.destroy();
});
