// A PostgreSQL that was put back from a dump: what `countersign restore --in-place` makes of it.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Device, ticketFor } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { execute, temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { settingArguments, startServer } from "../support/server.mjs";
import { refusal } from "../support/websocket.mjs";

const postgres = await startPostgres();

async function done(promise) {
  const result = await promise;
  assert.equal(result.code, 0, result.stderr);
  return result.stdout;
}

const connection = (database) => ["-h", postgres.folder, "-p", String(postgres.port), "-U", "postgres", "-d", database];

/** A node on a database of its own, with an application whose secret the test knows. */
async function startNode() {
  const folder = temporaryFolder("application");
  const applicationKey = crypto.randomUUID();
  const applicationSecret = plant("application secret", crypto.randomBytes(24).toString("base64"));
  const file = path.join(folder, "secret");
  fs.writeFileSync(file, `${applicationSecret}\n`, { mode: 0o600 });
  const application = { "application.key": applicationKey, "application.secret_file": file };
  const database = await postgres.database();
  const env = { COUNTERSIGN_STORAGE__URL: database.url };
  const server = await startServer({ settings: { "messages.unknown_users": "keep", ...application }, env });
  const command = (args) => server.command([...args, ...settingArguments(application)], { env });
  return { server: Object.assign(server, { applicationKey, applicationSecret }), database, command };
}

test("a dump put back and taken over by restore --in-place: positions are renewed, and nobody stays signed in", async () => {
  const { server, database, command } = await startNode();
  const person = await newPerson(server);
  const [ann, bob] = [newName("ann"), newName("bob")];
  const [sender, reader] = [await Device.connect(server, ann), await Device.connect(server, bob)];
  const { conv } = await sender.sent(bob, "before");
  await reader.message("before");
  await reader.ack();
  const note = { ...reader.position };

  const dump = path.join(temporaryFolder("dump"), "countersign.sql");
  await done(execute("pg_dump", [...connection(database.name), "-f", dump]));
  await sender.sent(bob, "after");
  await reader.message("after");
  const ticket = ticketFor(server, bob);
  await server.kill();
  await postgres.sql("postgres", `DROP DATABASE ${database.name} WITH (FORCE)`);
  await postgres.sql("postgres", `CREATE DATABASE ${database.name} OWNER countersign`);
  await done(execute("psql", [...connection(database.name), "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump]));

  const told = JSON.parse(await done(command(["restore", "--in-place", "--json"])));
  assert.equal(told.sessionsEnded, 1);
  await server.restart();

  // A position that the dump knows just so is refused all the same: what follows it is another stream.
  const back = await Device.connect(server, bob, { resume: note });
  assert.deepEqual([back.inbox.recovered, back.inbox.reason], [false, "epoch"]);
  assert.notEqual(back.inbox.epoch, note.epoch);
  const { history } = await back.gateway.command("history", { conv, limit: 100 });
  assert.deepEqual(history.messages.map(({ text }) => text), ["before"]);
  assert.equal((await sender.again()).inbox.reason, "epoch");

  assert.equal((await person.client.post("/v1/tickets", { json: {} })).status, 401, "the session has ended");
  assert.equal((await refusal(server, ticket)).reply.error.code, 101, "a ticket of before the restore");
  const again = server.client();
  assert.equal((await again.signIn(person.name, person.password)).status, 303);
  assert.ok(await again.ticket());
});
