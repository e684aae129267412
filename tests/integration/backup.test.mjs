// Backup and restore: the drill, and what clients and people signed in learn of a restore, or of a wrong one.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { backUp, done, newFile, people, restore, settings, sql, storeOf } from "../support/backup.mjs";
import { Device, messageId, ticketFor } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { countersign, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";
import { Gateway } from "../support/websocket.mjs";

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
