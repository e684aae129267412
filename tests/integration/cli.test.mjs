// The command line: every command, its answers and its exit statuses.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { newName, newPassword } from "../support/people.mjs";
import { countersign, root, temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { mint, verify } from "../support/tickets.mjs";
import { Gateway, refusal } from "../support/websocket.mjs";

const folder = temporaryFolder("cli");
const key = crypto.randomUUID();
const secret = plant("application secret", crypto.randomBytes(32).toString("base64"));
const secretFile = path.join(folder, "app.secret");
fs.writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
const application = ["--app-key", key, "--app-secret-file", secretFile];

function assertUsage(done, pattern = /./) {
  assert.equal(done.code, 2, done.stderr);
  assert.equal(done.stdout, "");
  assert.equal(done.stderr.trimEnd().split("\n").length, 1, done.stderr);
  assert.match(done.stderr, pattern);
}

test("--version and --help", async () => {
  const version = await countersign(["--version"]);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /^countersign \d+\.\d+\.\d+\n$/);
  for (const args of [["--help"], ["serve", "--help"], ["ticket", "issue", "--help"], ["app", "rotate-secret", "--help"]]) {
    const help = await countersign(args);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Usage|OPTIONS|Options/);
  }
});

test("wrong usage is one line on stderr and exit 2", async () => {
  for (const args of [
    [],
    ["frobnicate"],
    ["ticket"],
    ["ticket", "issue"],
    ["ticket", "issue", ...application, "--identity", "alice"],
    ["ticket", "issue", ...application, "--identity", "thing:alice"],
    ["ticket", "issue", ...application, "--identity", "username:alice", "--ttl", "0"],
    ["ticket", "issue", ...application, "--identity", "username:alice", "--ttl", "90000"],
    ["ticket", "issue", ...application, "--identity", "username:alice", "--now", "x"],
    ["ticket", "verify", ...application, "--policy", "lenient"],
    ["ticket", "issue", "--frobnicate"],
    ["serve", "--set", "novalue"],
    ["user", "add"],
    ["vectors"],
  ]) {
    assertUsage(await countersign(args, { input: "" }));
  }
});

test("an unreadable file and a bad secret exit 3", async () => {
  const bad = path.join(folder, "bad.secret");
  for (const [text, file] of [
    [undefined, "/nonexistent"],
    ["not base64 at all!", bad],
    [Buffer.alloc(15).toString("base64"), bad],
  ]) {
    if (text !== undefined) fs.writeFileSync(file, text);
    const done = await countersign([
      "ticket", "issue", "--app-key", key, "--app-secret-file", file, "--identity", "username:alice",
    ]);
    assert.equal(done.code, 3, done.stderr);
    assert.equal(done.stdout, "");
    assert.equal(done.stderr.trimEnd().split("\n").length, 1);
    assert.match(done.stderr, new RegExp(file));
    if (text) assert.ok(!done.stderr.includes(text));
  }
  assert.equal((await countersign(["vectors", "/nonexistent"])).code, 3);
  assert.equal((await countersign(["config", "check", "--config", "/nonexistent"])).code, 3);
});

test("`ticket issue` prints the ticket alone; Node and `ticket verify` accept it", async () => {
  const issued = await countersign(["ticket", "issue", ...application, "--identity", "username:alice", "--ttl", "600"]);
  assert.equal(issued.code, 0, issued.stderr);
  assert.match(issued.stdout, /^[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+\n$/);
  const claims = verify(issued.stdout.trim(), { key, secret });
  assert.deepEqual(claims.identity, { type: "username", endpoint: "alice" });
  assert.equal(claims.expiresIn, 600);
  for (const end of ["", "\n", "\r\n"]) {
    const done = await countersign(["ticket", "verify", ...application], { input: issued.stdout.trim() + end });
    assert.equal(done.code, 0, done.stdout);
    const answer = JSON.parse(done.stdout);
    assert.equal(answer.valid, true);
    assert.deepEqual(answer.identity, { type: "username", endpoint: "alice" });
    assert.equal(answer.applicationKey, key);
  }
  const twice = await countersign(["ticket", "verify", ...application], { input: `${issued.stdout}\n` });
  assert.equal(twice.code, 1, "only one line end is stripped");
});

test("`ticket verify` says why not, and exits 1", async () => {
  const verdict = async (ticket, ...more) => {
    const done = await countersign(["ticket", "verify", ...application, ...more], { input: ticket });
    return [done.code, JSON.parse(done.stdout).reason];
  };
  const good = mint({ key, secret, username: "alice" });
  const now = Math.floor(Date.now() / 1000);
  assert.deepEqual(await verdict(good, "--expect", "username:bob"), [1, "identity_mismatch"]);
  assert.deepEqual(await verdict(good, "--now", `${now + 7200}`), [1, "expired"]);
  assert.deepEqual(await verdict(good, "--now", `${now - 7200}`), [1, "not_yet_valid"]);
  assert.deepEqual(await verdict(`${good.slice(0, -8)}AAAAAAA=`), [1, "bad_signature"]);
  assert.deepEqual(await verdict(mint({ key: "other", secret, username: "alice" })), [1, "unknown_key"]);
  assert.deepEqual(await verdict("nonsense"), [1, "bad_layout"]);
  assert.deepEqual(await verdict(""), [1, "bad_layout"]);
  assert.deepEqual(await verdict("x".repeat(20_000)), [1, "too_large"]);
  assert.deepEqual(await verdict(mint({ key, secret, username: "alice", extra: 1 }), "--policy", "strict"), [1, "unknown_member"]);
  assert.deepEqual(await verdict(good, "--expect", "username:alice"), [0, undefined]);
});

test("`ticket inspect` shows the claims, marked unverified, never asking for a secret", async () => {
  const done = await countersign(["ticket", "inspect"], { input: `${mint({ key, secret, username: "alice" })}\n` });
  assert.equal(done.code, 0);
  assert.match(done.stdout, /alice/);
  assert.match(done.stdout, /unverified|"verified":\s*false/);
  assert.equal((await countersign(["ticket", "inspect"], { input: "nonsense" })).code, 1);
});

test("`--now` makes tickets reproducible", async () => {
  const issue = () =>
    countersign(["ticket", "issue", ...application, "--identity", "email:a@example.org", "--now", "1700000000"]);
  assert.equal((await issue()).stdout, (await issue()).stdout);
});

test("`vectors` runs the file and ends with the count", async () => {
  const done = await countersign(["vectors", path.join(root, "tests/interop/vectors/tickets.json")]);
  assert.equal(done.code, 0, done.stdout.slice(-500));
  assert.match(done.stdout, /(^|\n)\d+ passed, 0 failed\n$/);
});

test("`config check` and `config doc`", async () => {
  assert.equal((await countersign(["config", "check"])).code, 0);
  const file = path.join(folder, "bad.toml");
  fs.writeFileSync(file, "[limits]\nmax_connection = 5\n");
  const unknown = await countersign(["config", "check", "--config", file]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /limits\.max_connection \(.*bad\.toml line 2\).*limits\.max_connections/);
  fs.writeFileSync(file, "[limits\n");
  assert.equal((await countersign(["config", "check", "--config", file])).code, 2);
  const doc = await countersign(["config", "doc"]);
  const uncommented = path.join(folder, "doc.toml");
  fs.writeFileSync(uncommented, doc.stdout);
  assert.equal((await countersign(["config", "check", "--config", uncommented])).code, 0);
  for (const name of ["listen", "allowed_origins", "session_member", "query_credentials", "ticket_policy"]) {
    assert.ok(doc.stdout.includes(`#${name} = `), name);
  }
  const page = await countersign(["config", "doc", "--markdown"]);
  assert.match(page.stdout, /^# Settings/);
});

test("`migrate` brings a store up to date, once", async () => {
  const dataDir = path.join(temporaryFolder("migrate"), "var");
  const pending = await countersign(["migrate", "--list", "--data-dir", dataDir]);
  const first = await countersign(["migrate", "--data-dir", dataDir]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /applied now/);
  const second = await countersign(["migrate", "--data-dir", dataDir]);
  assert.doesNotMatch(second.stdout, /applied now/);
  assert.ok(pending.code === 0 ? /pending/.test(pending.stdout) : pending.stderr !== "");
});

test("`user add` reads the password from standard input, and people are listed", async () => {
  const dataDir = path.join(temporaryFolder("users"), "var");
  const on = (args, options) => countersign([...args, "--data-dir", dataDir], options);
  const name = newName("Ada");
  const password = newPassword();
  const added = await on(["user", "add", name, "--email", "ada@example.org"], { input: `${password}\n` });
  assert.equal(added.code, 0, added.stderr);
  assert.ok(!added.stdout.includes(password) && !added.stderr.includes(password));
  const again = await on(["user", "add", name.toLowerCase()], { input: `${newPassword()}\n` });
  assert.equal(again.code, 1);
  assert.match(again.stderr, /taken/);
  const weak = await on(["user", "add", newName()], { input: "short\n" });
  assert.equal(weak.code, 1);
  assert.match(weak.stderr, /too short/);
  const silent = await on(["user", "add", newName()], { input: "" });
  assert.equal(silent.code, 2);
  // Passwords are never arguments; one that is given so all the same is not shown either (traffic.mjs looks).
  assertUsage(await on(["user", "add", newName(), "--password", newPassword()], { input: "" }), /no option --password/);
  assertUsage(await on(["user", "add", newName(), newPassword()], { input: "" }), /more arguments/);
  assert.match((await on(["user", "list"])).stdout, new RegExp(`^${name}  ada@example.org\n$`));
  const list = JSON.parse((await on(["user", "list", "--json"])).stdout);
  assert.deepEqual(list.map((row) => [row.userName, row.email, row.disabled]), [[name, "ada@example.org", false]]);
  for (const act of ["disable", "enable", "sign-out", "unlock"]) {
    const nobody = await on(["user", act, "nobody-of-this-name"]);
    assert.equal(nobody.code, 1, act);
    assert.match(nobody.stderr, /no such/i);
    const done = await on(["user", act, "ADA@example.org"]);
    assert.equal(done.code, 0, `${act}: ${done.stderr}`);
  }
});

test("`user unlock` lets a slowed person in at once", async () => {
  const server = await startServer();
  const name = newName();
  const password = newPassword();
  assert.equal((await server.command(["user", "add", name], { input: `${password}\n` })).code, 0);
  const client = server.client({ localAddress: "127.5.0.1" });
  for (let i = 0; i < 6; ++i) await client.signIn(name, newPassword());
  assert.equal((await client.signIn(name, password)).status, 422);
  assert.equal((await server.command(["user", "unlock", name])).code, 0);
  assert.equal((await client.signIn(name, password)).status, 303);
});

test("applications and their secrets: create, rotate, retire; the running server follows", async () => {
  const server = await startServer();
  const created = await server.command(["app", "create", "Second app", "--json"]);
  assert.equal(created.code, 0, created.stderr);
  const second = JSON.parse(created.stdout);
  plant("application secret of the store", second.secret);
  await server.logged({ event: "secrets_reloaded" });
  const gateway = await Gateway.connect(server, mint({ key: second.applicationKey, secret: second.secret, username: "visitor" }));
  assert.deepEqual(gateway.hello.user, { type: "username", endpoint: "visitor" });

  const list = async () => JSON.parse((await server.command(["app", "list", "--json"])).stdout);
  assert.deepEqual(
    (await list()).map((app) => [app.applicationKey, app.secrets.length]).sort(),
    [[server.applicationKey, 1], [second.applicationKey, 1]].sort(),
  );

  const from = server.log.all.length;
  const rotated = JSON.parse((await server.command(["app", "rotate-secret", second.applicationKey, "--json"])).stdout);
  plant("application secret of the store", rotated.secret);
  assert.notEqual(rotated.secret, second.secret);
  await server.logged({ event: "secrets_reloaded" }, { from });
  for (const each of [second.secret, rotated.secret]) {
    await (await Gateway.connect(server, mint({ key: second.applicationKey, secret: each, username: "visitor" }))).close();
  }

  const refused = await server.command(["app", "retire-secret", rotated.fingerprint, "--app-key", second.applicationKey]);
  assert.equal(refused.code, 1, "the secret that mints cannot be retired");
  const before = server.log.all.length;
  const retired = await server.command(["app", "retire-secret", second.fingerprint, "--app-key", second.applicationKey]);
  assert.equal(retired.code, 0, retired.stderr);
  await server.logged({ event: "secrets_reloaded" }, { from: before });
  const answer = await refusal(server, mint({ key: second.applicationKey, secret: second.secret, username: "visitor" }));
  assert.equal(answer.reply.error.code, 101);
  const unknown = await server.command(["app", "rotate-secret", "no-such-key"]);
  assert.equal(unknown.code, 1);
});

test("the default application's secret rotates too, and tickets are minted with the new one", async () => {
  const server = await startServer();
  const old = server.applicationSecret;
  const client = server.client();
  await client.signUp(newName(), newPassword());
  const rotated = JSON.parse((await server.command(["app", "rotate-secret", "--json"])).stdout);
  plant("application secret", rotated.secret);
  await server.logged({ event: "secrets_reloaded" });
  assert.equal(fs.readFileSync(path.join(server.dataDir, "app.secret"), "utf8").trim(), rotated.secret);
  verify(await client.ticket(), { key: server.applicationKey, secret: rotated.secret });
  await (await Gateway.connect(server, mint({ key: server.applicationKey, secret: old, username: "x" }))).close();
});
