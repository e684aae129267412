// Backup and restore: the drill, and what must hold when it is done wrong, or killed in the middle.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Device, messageId, ticketFor } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { cleanEnvironment, countersign, execute, program, root, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";
import { eventually, within } from "../support/waiting.mjs";
import { Gateway } from "../support/websocket.mjs";

const settings = { "messages.unknown_users": "keep", "limits.messages_per_second": 10000, "limits.commands_per_second": 10000 };
const storeOf = (server) => path.join(server.dataDir, "countersign.db");
const newFile = (name = "countersign.db") => path.join(temporaryFolder("backup"), name);

async function done(promise) {
  const result = await promise;
  assert.equal(result.code, 0, result.stderr);
  return result;
}

const backUp = async (server, file = newFile()) => {
  await done(server.command(["backup", file]));
  return file;
};
const restore = (server, file, ...more) => server.command(["restore", file, "--json", ...more]);

/** Runs SQL on a database file, and gives what it printed. */
async function sql(file, text) {
  return (await done(execute("sqlite3", [file, text]))).stdout.trim();
}

/** Two people who have talked: `count` messages, each acknowledged. */
async function people(server, count = 5) {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  for (let i = 0; i < count; ++i) await sender.sent(bob, `before ${i}`);
  if (count > 0) await reader.message(`before ${count - 1}`);
  await reader.ack();
  return { ann, bob, sender, reader };
}

/** What lies beside the store and was not there before. */
const beside = (server) => fs.readdirSync(server.dataDir).filter((name) => /partial|restor|rehearsal/.test(name));

test("the drill: a backup while people talk, the server killed, the restore, and nothing is shown as recovered that is not", async () => {
  const server = await startServer({ settings });
  const { bob, sender, reader } = await people(server);
  await (await Device.connect(server, bob, { device: "noteless" })).drop();
  const lost = newName("lost");

  // Online: sends go on while the backup is made.
  const backup = newFile();
  const during = [];
  let running = true;
  const talking = (async () => {
    while (running) {
      during.push({ text: `during ${during.length}`, began: performance.now() });
      await sender.sent(bob, during.at(-1).text);
      during.at(-1).ended = performance.now();
    }
  })();
  const began = performance.now();
  await backUp(server, backup);
  const ended = performance.now();
  running = false;
  await talking;
  assert.ok(during.some((each) => each.began > began && each.ended < ended), "a message was accepted while the backup was made");

  // They go on, and these are acknowledged to their sender; the backup does not know them.
  const afterwards = [];
  for (let i = 0; i < 8; ++i) afterwards.push(await sender.sent(bob, `after ${i}`));
  const accepted = { msg_id: messageId(), text: "accepted, but its sender never heard" };
  const first = await sender.sent(bob, accepted.text, { msg_id: accepted.msg_id });
  await reader.message(accepted.text);
  await reader.ack();
  await Device.connect(server, lost); // somebody of whom the backup knows nothing
  const stood = { sender: sender.position, reader: reader.position };
  const oldTicket = ticketFor(server, bob);
  const { group } = await sender.gateway.command("group", { msg_id: messageId(), action: "create", name: "Since", users: [] });
  assert.ok(group);

  await server.kill();
  const restored = JSON.parse((await done(restore(server, backup))).stdout);
  assert.equal(restored.restored, true);
  assert.ok(fs.existsSync(restored.keptAs), "the store of before is kept");
  await server.restart();

  // Positions are refused, with the reason.
  const back = await sender.again();
  assert.deepEqual({ recovered: back.inbox.recovered, reason: back.inbox.reason }, { recovered: false, reason: "epoch" });
  assert.notEqual(back.inbox.epoch, stood.sender.epoch);
  const heard = await reader.again();
  assert.deepEqual({ recovered: heard.inbox.recovered, reason: heard.inbox.reason }, { recovered: false, reason: "epoch" });
  assert.ok(heard.inbox.top < stood.reader.offset, "what came after the backup is gone from the server");
  // So is a device without a note: its cursor is of another epoch, or it is not known at all.
  const noteless = await Device.connect(server, bob, { device: "noteless" });
  assert.deepEqual({ recovered: noteless.inbox.recovered, reason: noteless.inbox.reason }, { recovered: false, reason: "epoch" });
  const unknown = await Device.connect(server, lost);
  assert.equal(unknown.inbox.recovered, false);
  // An acknowledgement or a sync of the old epoch does not pass for one of the new.
  assert.equal((await heard.ack(stood.reader.offset, stood.reader.epoch)).error.code, 112);
  const sync = await heard.gateway.command("sync", stood.reader);
  assert.equal(sync.sync.inbox.recovered, false);
  assert.equal(sync.sync.inbox.reason, "epoch");

  // History says what there is; the group made since is unknown, to its own maker too.
  const { history } = await heard.gateway.command("history", { conv: afterwards[0].conv, limit: 100 });
  const texts = history.messages.map((message) => message.text);
  assert.ok(texts.includes("before 0"));
  assert.ok(!texts.some((text) => text.startsWith("after ")));
  assert.ok((await back.gateway.command("conversation", { conv: group.conv })).error);

  // The outbox sends again: accepted anew, and delivered to everybody once more.
  const again = await back.sent(bob, accepted.text, { msg_id: accepted.msg_id });
  assert.equal(again.dup, false, "the row that knew it is gone");
  assert.notEqual(again.seq, undefined);
  const entry = await heard.message(accepted.text);
  assert.equal(entry.msg_id, accepted.msg_id);
  const known = reader.entries.all.find((each) => each.msg_id === accepted.msg_id);
  assert.notEqual(entry.chain, known.chain, "the chain tells the two apart");
  assert.ok(first.offset >= again.offset);

  // Until the offsets of before are used again: each with another chain, so that no old position fits.
  for (let i = 0; heard.position.offset < stood.reader.offset; ++i) {
    await back.sent(bob, `anew ${i}`);
    await heard.message(`anew ${i}`);
  }
  const before = new Map(reader.entries.all.map((each) => [each.offset, each.chain]));
  const reused = heard.entries.all.filter((each) => each.offset > heard.inbox.top && before.has(each.offset));
  assert.ok(reused.length > 0);
  for (const each of reused) assert.notEqual(each.chain, before.get(each.offset), `offset ${each.offset}`);
  await heard.drop();
  const late = await Device.connect(server, bob, { resume: stood.reader });
  assert.deepEqual({ recovered: late.inbox.recovered, reason: late.inbox.reason }, { recovered: false, reason: "epoch" });
  await late.drop();
  const chainOnly = await Device.connect(server, bob, { resume: { ...stood.reader, epoch: heard.position.epoch } });
  assert.equal(chainOnly.inbox.recovered, false, "the chain alone would have told it");
  assert.equal(chainOnly.inbox.reason, "epoch");

  // From there on it is a store like any other.
  const position = chainOnly.position;
  await back.sent(bob, "as ever");
  await chainOnly.message("as ever");
  await chainOnly.drop();
  const resumed = await chainOnly.again();
  assert.equal(resumed.inbox.recovered, true);
  assert.ok(resumed.inbox.from > position.offset || resumed.inbox.from === chainOnly.position.offset);

  // A receipt says no more than what was delivered since.
  const list = (await back.gateway.command("conversation", { conv: again.conv })).conversation;
  const horizon = list.members.find((member) => member.user.endpoint === bob);
  assert.ok(horizon.delivered <= list.top, "no receipt for messages that are gone");

  // A ticket of before is refused.
  const stale = await Gateway.connect(server, oldTicket, { device: "stale" }).then(
    () => "connected",
    (error) => error,
  );
  assert.notEqual(stale, "connected");
});

test("receipts of the restored store never exceed what was acknowledged before the backup", async () => {
  const server = await startServer({ settings });
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob, { acknowledges: false });
  const { conv } = await sender.sent(bob, "one");
  await sender.sent(bob, "two");
  await reader.message("two");
  await reader.ack(1);
  const file = await backUp(server);
  await reader.ack(2); // after the backup: the restored store must not know it
  await server.kill();
  await done(restore(server, file));
  await server.restart();
  const back = await sender.again();
  const { conversation } = await back.gateway.command("conversation", { conv });
  assert.equal(conversation.members.find((member) => member.user.endpoint === bob).delivered, 1);
});

test("an old file copied back by hand, with the same epoch, is noticed by every position that it does not hold", async () => {
  const server = await startServer({ settings });
  const { bob, sender, reader } = await people(server);
  assert.equal((await server.stop()).code, 0);
  const copy = newFile();
  fs.copyFileSync(storeOf(server), copy);
  await server.restart();
  const again = await sender.again();
  const listener = await reader.again();
  assert.equal(listener.inbox.recovered, true);
  const held = listener.position; // the copy holds this one
  for (let i = 0; i < 3; ++i) await again.sent(bob, `gone ${i}`);
  await listener.message("gone 2");
  const beyond = listener.position;
  assert.equal((await server.stop()).code, 0);
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(storeOf(server) + suffix, { force: true });
  fs.copyFileSync(copy, storeOf(server));
  await server.restart();

  const above = await Device.connect(server, bob, { resume: beyond });
  assert.deepEqual({ recovered: above.inbox.recovered, reason: above.inbox.reason }, { recovered: false, reason: "epoch" });
  await above.drop();
  const other = await again.again();
  assert.equal(other.inbox.reason, "epoch", "the sender's position lies above the top as well");
  for (let i = 0; i < 4; ++i) await other.sent(bob, `other ${i}`);
  const replaced = await Device.connect(server, bob, { resume: beyond });
  assert.deepEqual({ recovered: replaced.inbox.recovered, reason: replaced.inbox.reason }, { recovered: false, reason: "epoch" });
  assert.equal(replaced.inbox.epoch, beyond.epoch, "only the chain tells");
  await replaced.drop();
  const good = await Device.connect(server, bob, { resume: held });
  assert.equal(good.inbox.recovered, true, "what the copy does hold is recovered");
});

test("a backup that is copied back by hand has an epoch of its own", async () => {
  const server = await startServer({ settings });
  const { reader } = await people(server);
  const file = await backUp(server);
  assert.equal((await server.stop()).code, 0);
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(storeOf(server) + suffix, { force: true });
  fs.copyFileSync(file, storeOf(server));
  await server.restart();
  const back = await reader.again();
  assert.deepEqual({ recovered: back.inbox.recovered, reason: back.inbox.reason }, { recovered: false, reason: "epoch" });
});

test("a restore does not bring back who was signed out: no session, no client, no ticket of before", async () => {
  const server = await startServer({ settings });
  const person = await newPerson(server);
  const other = await newPerson(server);
  const ticket = await person.client.ticket();
  const bob = newName("bob");
  const foreign = ticketFor(server, bob); // of a producer that names no session
  const gateway = await Gateway.connect(server, ticket, { device: "tab" });
  assert.ok(gateway.hello);
  const file = await backUp(server);
  await done(server.command(["user", "sign-out", person.name]));
  await eventually(() => person.client.post("/v1/tickets", { json: {} }), ({ status }) => status === 401, "the sign-out");
  await server.kill();
  const told = JSON.parse((await done(restore(server, file))).stdout);
  assert.equal(told.sessionsEnded, 2);
  await server.restart();
  assert.equal((await person.client.post("/v1/tickets", { json: {} })).status, 401);
  assert.equal((await other.client.post("/v1/tickets", { json: {} })).status, 401, "nobody knows who was signed out since");
  for (const old of [ticket, foreign]) await assert.rejects(Gateway.connect(server, old, { device: "tab" }));
  assert.equal(await sql(storeOf(server), "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM instances)"), "0");
  const fresh = await Gateway.connect(server, ticketFor(server, bob), { device: "tab" });
  assert.ok(fresh.hello, "a new ticket is as good as ever");
});

test("restore --in-place does the same for a store that was put back by other means", async () => {
  const server = await startServer({ settings });
  const { reader } = await people(server);
  const person = await newPerson(server);
  const refused = await server.command(["restore", "--in-place"]);
  assert.equal(refused.code, 1, "a server holds the data directory");
  assert.match(refused.stderr, /Another server uses this data directory/);
  await server.kill();
  const told = JSON.parse((await done(server.command(["restore", "--in-place", "--json"]))).stdout);
  assert.equal(told.sessionsEnded, 1);
  await server.restart();
  assert.equal((await reader.again()).inbox.reason, "epoch");
  assert.equal((await person.client.post("/v1/tickets", { json: {} })).status, 401);
  const nowhere = path.join(temporaryFolder("backup"), "var");
  assert.equal((await countersign(["restore", "--in-place", "--data-dir", nowhere])).code, 3, "no store is made for it");
  assert.ok(!fs.existsSync(nowhere));
});

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

test("a PostgreSQL store is backed up its own way, and the refusal says which", async () => {
  const args = ["--set", "storage.url=postgresql://countersign@127.0.0.1:1/none", "--data-dir", path.join(temporaryFolder("backup"), "var")];
  for (const command of [["backup", newFile()], ["restore", newFile()]]) {
    const refused = await countersign([...command, ...args]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /pg_basebackup.*pg_dump.*restore --in-place/);
  }
});
