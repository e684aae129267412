// A PostgreSQL that was put back from a dump: what `countersign restore --in-place` makes of it.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { Cluster } from "../support/cluster.mjs";
import { Device, ticketFor } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { execute, temporaryFolder } from "../support/process.mjs";
import { refusal } from "../support/websocket.mjs";

const postgres = await startPostgres();

async function done(promise) {
  const result = await promise;
  assert.equal(result.code, 0, result.stderr);
  return result.stdout;
}

const connection = (database) => ["-h", postgres.folder, "-p", String(postgres.port), "-U", "postgres", "-d", database];

test("a dump put back and taken over by restore --in-place: positions are renewed, and nobody stays signed in", async () => {
  const cluster = await Cluster.start({ postgres, settings: { "messages.unknown_users": "keep" } });
  const server = await cluster.node();
  const { database } = cluster;
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

  const told = JSON.parse(await cluster.command(server, ["restore", "--in-place", "--json"]));
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
