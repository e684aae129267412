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

test("a full disk: sign-up is refused clearly, the server lives, and later it works", async (t) => {
  // A small file system of its own where this may be mounted, else a limit on file sizes.
  const mount = temporaryFolder("full");
  const mounted = await execute("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", mount]);
  if (mounted.code !== 0) return fullByLimit();
  t.after(() => execute("umount", ["-l", mount]));
  const small = await startServer({ dataDir: path.join(mount, "var") });
  const person = await newPerson(small);
  const leaving = await newPerson(small);
  const filler = path.join(mount, "filler");
  const file = fs.openSync(filler, "w");
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(4096, 1));
  } catch (error) {
    assert.equal(error.code, "ENOSPC");
  }
  fs.closeSync(file);
  let refused;
  for (let i = 0; i < 500 && refused === undefined; ++i) {
    const answer = await small.client().post("/users/sign_up", {
      json: { username: newName(), password: newPassword() },
      headers: { accept: "application/json" },
    });
    if (answer.status !== 303) refused = answer;
  }
  assert.ok(refused, "the disk never filled");
  assert.equal(refused.status, 503);
  assert.ok([113, 721].includes(refused.json.code), refused.body);
  assert.equal((await small.client().get("/healthz")).status, 200);
  assert.equal((await person.client.post("/v1/tickets", { json: {} })).status, 200, "tickets go on");
  const copy = leaving.client.copy();
  assert.equal((await leaving.client.signOut()).status, 303, "signing out has room kept for it");
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
  fs.rmSync(filler);
  await newPerson(small);
});

async function fullByLimit() {
  const small = await startServer({ wrap: ["prlimit", "--fsize=5000000"] });
  let refused;
  for (let i = 0; i < 500 && refused === undefined; ++i) {
    const answer = await small.client().post("/users/sign_up", {
      json: { username: newName(), password: newPassword() },
      headers: { accept: "application/json" },
    });
    if (answer.status !== 303) refused = answer;
  }
  assert.equal(refused?.status, 503);
  assert.equal((await small.client().get("/healthz")).status, 200);
  const done = await execute("prlimit", [`--pid=${small.pid}`, "--fsize=unlimited"]);
  assert.equal(done.code, 0);
  await newPerson(small);
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
