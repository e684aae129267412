// The real classic SDK against a server that cannot serve: its database is stopped, silent, or broken. Whatever
// the SDK asks then ends with an error in bounded time, and goes on by itself when the database is back.
//
// One answer that is no JSON object would hang the SDK for ever, so every answer of these hours is looked at.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { ClassicBrowser, ClassicClient, startClassicServer, startedClient } from "../classic/support/client.mjs";
import { PlainClassic, assertReadable, rest } from "../support/classic.mjs";
import { ticketFor } from "../support/inbox.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { eventually } from "../support/waiting.mjs";

const postgres = await startPostgres();

/** A server on a database of its own, with an account and somebody who has started. */
async function setting() {
  const { name: database, url } = await postgres.database();
  const applicationKey = crypto.randomUUID();
  const applicationSecret = plant("application secret", crypto.randomBytes(24).toString("base64"));
  const secretFile = path.join(temporaryFolder("application"), "secret");
  fs.writeFileSync(secretFile, `${applicationSecret}\n`, { mode: 0o600 });
  const settings = { "application.key": applicationKey, "application.secret_file": secretFile };
  const server = await startClassicServer({ settings, env: { COUNTERSIGN_STORAGE__URL: url } });
  Object.assign(server, { applicationKey, applicationSecret });
  const person = { username: newName("grace"), password: newPassword() };
  const first = new ClassicClient(server);
  await first.newUser(person);
  first.close();
  return { server, database, person };
}

/** What the SDK was told, from its `from`-th answer on: all of it is what it can read. */
function assertAllReadable({ sandbox }, from = 0) {
  for (const { method, path: where, status, body, answerHeaders, failed } of sandbox.answers.all.slice(from)) {
    const what = `${method} ${where.slice(0, 40)} ${failed ?? status}`;
    assert.equal(failed, undefined, what);
    assert.equal(answerHeaders["access-control-allow-origin"], "*", what);
    const json = body === "" ? {} : JSON.parse(body);
    if (status < 300) continue;
    assert.ok(json.error === true || (Number.isInteger(json.errorCode) && json.message), `${what} ${body}`);
  }
}

/** Every way to start, with what it takes; each is refused with `code`, and settles. */
async function assertAllRefused(server, { person, name, session, storage }, code) {
  const ways = {
    "a ticket": [{ userTicket: ticketFor(server, newName("ada")) }],
    "a ticket and a known instance": [{ userTicket: ticketFor(server, name) }, { storage }],
    ...(session ? { "a saved session": [{ ...session }] } : {}),
    "a password": [{ ...person }],
  };
  await Promise.all(
    Object.entries(ways).map(async ([what, [credential, options]]) => {
      const client = new ClassicClient(server, options);
      const error = await client.refused(credential);
      assert.match(String(error.message), code, what);
      assertAllReadable(client);
      client.close();
    }),
  );
  const client = new ClassicClient(server);
  const error = await client.newUser({ username: newName("new"), password: newPassword() }).catch((refusal) => refusal);
  assert.match(String(error.message), code, "newUser()");
  assertAllReadable(client);
  client.close();
}

/** A message to somebody new wants a transport: it fails, and the answer says why. */
async function assertLookUpRefused(client) {
  const from = client.sandbox.answers.all.length;
  await assert.rejects(client.send(newName("nobody"), "to somebody who must be looked up"));
  const { status, body } = await client.answered("POST", /\/transport$/, { from });
  assert.ok([500, 503].includes(status), body);
  assert.equal(JSON.parse(body).errorCode, status * 100);
}

/** Starts as soon as the server lets it. */
async function startedAgain(server, credential, options) {
  return eventually(
    async () => {
      const client = new ClassicClient(server, options);
      const error = await client.start(credential).then(() => undefined, (refusal) => refusal);
      if (error === undefined) return client;
      client.close();
      assert.match(String(error.message), /^50[03]00 /);
      return undefined;
    },
    (client) => client !== undefined,
    "a start once the database is back",
    60_000,
  );
}

/** A person in a browser whose local storage knows the instance, started. */
async function withBrowser(server, name) {
  const browser = new ClassicBrowser(server);
  const tab = browser.tab();
  await tab.start({ userTicket: ticketFor(server, name) });
  await tab.polling();
  return { browser, tab };
}

test("the database is stopped: starts, renewals, sends and accounts are refused and settle; then all go on", { timeout: 180_000 }, async () => {
  const { server, person } = await setting();
  const { browser, tab: alice } = await withBrowser(server, newName("alice"));
  const bob = await startedClient(server, newName("bob"));
  const to = bob.session.userId;
  await alice.send(to, "before");
  await bob.message("before");
  const saved = alice.session;
  const told = [alice, bob].map((client) => client.sandbox.answers.all.length);

  await postgres.stop();
  // Whoever comes before the server has noticed is refused, or is let in as far as the poll; that one waits.
  const early = new ClassicClient(server);
  const settles = early.start({ ...saved }, { ms: 120_000 }).catch((refusal) => assert.match(String(refusal.message), /^50[03]00 /));
  const noticed = () => server.client().get("/sinch/v1/user/profile", { site: null });
  await eventually(noticed, ({ status }) => status === 503, "the server to notice");
  await assertAllRefused(server, { person, name: saved.userId, session: saved, storage: { ...browser.storage } }, /^50[03]00 \S/);
  await assert.rejects(alice.send(to, "to somebody whose transport is known"));
  await assertLookUpRefused(alice);

  await postgres.start();
  await settles;
  for (const client of [await startedAgain(server, { ...saved }), await startedAgain(server, { ...person })]) client.close();
  const second = await startedAgain(server, { userTicket: ticketFor(server, saved.userId) }, { storage: browser.storage });
  assert.equal(second.session.sessionId, saved.sessionId);
  const sent = await alice.send(to, "after");
  await bob.message("after", { ms: 60_000 });
  await alice.receipt(sent.id, to, { ms: 60_000 });
  [alice, bob].forEach((client, index) => assertAllReadable(client, told[index]));
  assert.deepEqual(bob.texts(), ["before", "after"]);
  for (const each of [alice, bob, second, early]) each.close();
});

test("the database is silent and closes nothing: all ends in bounded time, and goes on when it speaks", { timeout: 180_000 }, async () => {
  const { server, person } = await setting();
  const { browser, tab: alice } = await withBrowser(server, newName("alice"));
  const bob = await startedClient(server, newName("bob"));
  await alice.send(bob.session.userId, "before");
  postgres.signalAll("SIGSTOP");
  try {
    const noticed = () => server.client().get("/sinch/v1/user/profile", { site: null });
    await eventually(noticed, ({ status }) => status === 503, "the server to notice", 60_000);
    await assertAllRefused(server, { person, name: alice.session.userId, session: alice.session, storage: { ...browser.storage } }, /^50[03]00 \S/);
    await assertLookUpRefused(alice);
  } finally {
    postgres.signalAll("SIGCONT");
  }
  const again = await startedAgain(server, { ...alice.session });
  await again.send(bob.session.userId, "after");
  await bob.message("after", { ms: 60_000 });
  for (const each of [alice, bob, again]) each.close();
});

test("the store fails at a request: 50000 in words, on every request there is, and nobody hangs", { timeout: 120_000 }, async () => {
  const { server, database, person } = await setting();
  const { browser, tab: alice } = await withBrowser(server, newName("alice"));
  const bob = await startedClient(server, newName("bob"));
  await alice.send(bob.session.userId, "before");
  await bob.message("before");
  const plain = await PlainClassic.start(server, newName("carol"));
  const carol = await plain.transport(bob.session.userId);
  const told = [alice, bob].map((client) => client.sandbox.answers.all.length);
  const tables = (await postgres.sql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).split("\n");
  assert.ok(tables.length > 5);
  // The connections stay, the tables are gone: whatever asks for one fails.
  await postgres.sql(database, "ALTER SCHEMA public RENAME TO elsewhere; CREATE SCHEMA public");
  // An instance that the server knows gets as far as the poll, and there the SDK waits for as long as it takes.
  const waiting = new ClassicClient(server);
  const settles = waiting.start({ ...alice.session }, { ms: 100_000 }).catch((refusal) => assert.match(String(refusal.message), /^50[03]00 /));
  try {
    await assertAllRefused(server, { person, name: alice.session.userId, storage: { ...browser.storage } }, /^50[03]00 \S/);
    await assertLookUpRefused(alice);
    const asked = [
      ["GET", "timestamp/"],
      ["GET", "configuration/user"],
      ["POST", "transport", [{ identity: bob.session.userId }]],
      ["GET", `transport?transportId=${carol.transportId}&`],
      ["GET", "transport?transportId=unknown&"],
      ["POST", "report/im", { version: "2.0", sent: 1, received: 0, failed: 0 }],
      ["GET", "user/profile"],
      ["PATCH", "user/profile", {}],
      ["PUT", "user/password", { password: "x" }],
      ["POST", "calls/data", {}],
      ["PUT", "calls/data/id/x", {}],
      ["POST", "push", {}],
      ["POST", "media", {}],
    ];
    for (const [method, where, json] of asked) {
      const answer = await plain.request(method, `${rest}${where}`, { json });
      assertReadable(answer, answer.status);
      assert.ok(answer.status < 300 || JSON.parse(answer.body).errorCode >= 40000, `${method} ${where} ${answer.body}`);
    }
    const frame = plain.frames(carol, "never")[0];
    const publish = await plain.publish(carol.participants[0].channel, frame);
    assertReadable(publish, publish.status);
    assert.ok(publish.json.error === true, publish.body);
  } finally {
    await postgres.sql(database, "DROP SCHEMA public; ALTER SCHEMA elsewhere RENAME TO public");
  }
  await settles;
  const again = await startedAgain(server, { userTicket: ticketFor(server, newName("ada")) });
  await again.send(bob.session.userId, "after");
  await bob.message("after", { ms: 60_000 });
  [alice, bob].forEach((client, index) => assertAllReadable(client, told[index]));
  for (const each of [alice, bob, plain, again, waiting]) each.close();
});
