// PostgreSQL as the store: one node, two nodes, a database that dies, schemas that do not fit.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { countersign, temporaryFolder } from "../support/process.mjs";
import { findPlanted } from "../support/secrets.mjs";
import { refusedStart, startServer } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";
import { Gateway } from "../support/websocket.mjs";

const postgres = await startPostgres();

/** The setting in the environment: arguments can be read by everybody on the machine. */
const on = (url) => ({ env: { COUNTERSIGN_STORAGE__URL: url } });

/** A folder for a further node: nodes share the master key, and nothing else. */
function folderOfNode(first) {
  const dataDir = path.join(temporaryFolder("node"), "var");
  fs.mkdirSync(dataDir, { mode: 0o700 });
  fs.copyFileSync(path.join(first.dataDir, "master.key"), path.join(dataDir, "master.key"));
  return dataDir;
}

const applications = async (server) => {
  const listed = await server.command(["app", "list", "--json"], { env: server.env });
  assert.equal(listed.code, 0, listed.stderr);
  return JSON.parse(listed.stdout);
};

test("sign-up, sign-in, ticket, gateway and sign-out work as on SQLite", async () => {
  const { url } = await postgres.database();
  const server = await startServer(on(url));
  const person = await newPerson(server);
  const gateway = await Gateway.connect(server, await person.client.ticket());
  assert.deepEqual(gateway.hello.user, { type: "username", endpoint: person.name });
  const again = server.client();
  assert.equal((await again.signIn(person.name, person.password)).status, 303);
  assert.equal((await server.client().signIn(person.name, newPassword())).status, 422);
  await person.client.signOut();
  assert.equal((await gateway.closed).code, 4503);
  assert.ok(await again.ticket(), "the other session lives");
  for (const file of ["app.key", "app.secret", "countersign.db"]) {
    assert.ok(!fs.existsSync(path.join(server.dataDir, file)), `${file} stands in the database instead`);
  }
});

test("two nodes on one database are one service: the same application, and a sign-out on one ends the client on the other", async () => {
  const { url } = await postgres.database();
  const first = await startServer(on(url));
  const second = await startServer({ ...on(url), dataDir: folderOfNode(first) });
  const [here, there] = [await applications(first), await applications(second)];
  assert.deepEqual(here, there);
  assert.equal(here.length, 1);

  const person = await newPerson(first);
  const elsewhere = second.client();
  assert.equal((await elsewhere.signIn(person.name, person.password)).status, 303);
  const onSecond = await Gateway.connect(second, await person.client.ticket());
  const onFirst = await Gateway.connect(first, await elsewhere.ticket());
  const begun = performance.now();
  await person.client.signOut();
  assert.equal((await onSecond.closed).code, 4503);
  assert.ok(performance.now() - begun < 2000, "within 2 s");
  assert.equal(onFirst.ended, undefined, "the session that was made on the second node lives");
  await onFirst.close();

  const rotated = await first.command(["app", "rotate-secret", "--json"], { env: first.env });
  assert.equal(rotated.code, 0, rotated.stderr);
  await second.logged({ event: "secrets_reloaded" });
  assert.deepEqual(await applications(first), await applications(second));
});

test("a node with another master key, or none, is refused before it makes anything", async () => {
  const { url } = await postgres.database();
  await (await startServer(on(url))).stop();
  const other = await startServer();
  await other.stop();
  const wrong = await refusedStart({ ...on(url), dataDir: other.dataDir });
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /master key/);
  const none = await refusedStart({ ...on(url), dataDir: path.join(temporaryFolder("node"), "var") });
  assert.equal(none.code, 3);
  assert.match(none.stderr, /copy it from another node/);
});

test("a database that is killed and comes back loses nothing that was acknowledged, and the program reconnects", async () => {
  const own = await startPostgres();
  const { url } = await own.database();
  const server = await startServer(on(url));
  const visitor = server.client();
  const ready = () => visitor.get("/readyz");
  const people = [];
  let refused = 0;
  let stop = false;
  const signUps = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!stop) {
        const client = server.client();
        const person = { name: newName(), password: newPassword() };
        const answer = await client.signUp(person.name, person.password);
        client.close();
        if (answer.status === 303) people.push(person);
        else {
          assert.ok([500, 503].includes(answer.status), `${answer.status} ${answer.body}`);
          ++refused;
        }
      }
    }),
  );
  await eventually(ready, ({ status }) => status === 200 && people.length > 3, "the first people");
  await own.stop("SIGKILL");
  await eventually(ready, ({ status }) => status === 503 && refused > 3, "the loss to be noticed");
  await own.start();
  const before = people.length;
  await eventually(ready, ({ status }) => status === 200 && people.length > before, "the return");
  stop = true;
  await signUps;
  for (const person of people) {
    const client = server.client();
    assert.equal((await client.signIn(person.name, person.password)).status, 303, person.name);
    client.close();
  }
  await server.logged({ event: "store_reached_again" });
});

test("a node whose clock is more than a second off the database's is not ready, and raises no other node's clock", async () => {
  const { name, url } = await postgres.database();
  // The database tells another time: a function of ours stands before PostgreSQL's own.
  await postgres.sql("postgres", `ALTER DATABASE ${name} SET search_path = public, pg_catalog`);
  const tell = (seconds) =>
    postgres.sql(
      name,
      `CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
       AS $$ SELECT pg_catalog.clock_timestamp() + interval '${seconds} s' $$`,
    );
  await tell(-5);
  const server = await startServer(on(url));
  const visitor = server.client();
  const refused = await visitor.get("/readyz");
  assert.equal(refused.status, 503);
  const said = await server.logged({ event: "clock_off_the_store" });
  assert.ok(said.milliseconds > 4500 && said.milliseconds < 5500, `${said.milliseconds} ms`);
  assert.equal(await postgres.sql(name, "SELECT count(*) FROM meta WHERE name = 'time_high_water_us'"), "0");
  await tell(0.5);
  await eventually(() => visitor.get("/readyz"), ({ status }) => status === 200, "the clocks to agree");
  await tell(5);
  await eventually(() => visitor.get("/readyz"), ({ status }) => status === 503, "the clocks to part");
});

test("a schema newer than the program is refused, and the error says what to do", async () => {
  const { name, url } = await postgres.database();
  assert.equal((await countersign(["migrate"], on(url))).code, 0);
  await postgres.sql(name, "INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'x', 0)");
  const refused = await refusedStart(on(url));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /9999_later\.sql.*run the version that made it, or go back to a backup/);
  for (const args of [["migrate"], ["migrate", "--list"], ["migrate", "--dry-run"]]) {
    assert.equal((await countersign(args, on(url))).code, 1);
  }
});

test("`migrate --dry-run` shows that migrating would succeed, and changes nothing", async () => {
  const { name, url } = await postgres.database();
  const tables = () => postgres.sql(name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
  const dataDir = path.join(temporaryFolder("migrate"), "var");
  for (const options of [on(url), { env: {} }]) {
    const run = async (...args) => {
      const done = await countersign(["migrate", "--data-dir", dataDir, ...args], options);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout.trim().split("\n").map((line) => line.split(/\s{2,}/)[1]);
    };
    const wanted = options.env.COUNTERSIGN_STORAGE__URL ? "would be applied" : "pending"; // no file: nothing to try on
    assert.deepEqual([...new Set(await run("--dry-run"))], [wanted]);
    assert.deepEqual([...new Set(await run("--list"))], ["pending"]);
    assert.ok(!fs.existsSync(dataDir));
    if (options.env.COUNTERSIGN_STORAGE__URL) assert.equal(await tables(), "0");
  }
  await countersign(["migrate"], on(url));
  const done = await countersign(["migrate", "--dry-run"], on(url));
  assert.match(done.stdout, /^(\d{4}_\w+\.sql {2}applied\n)+$/);
  const both = await countersign(["migrate", "--dry-run", "--list"], on(url));
  assert.equal(both.code, 2);
});

test("an unfit server is refused by name, and no error shows the password", async () => {
  const { name, url } = await postgres.database();
  await postgres.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0 OWNER countersign");
  const wrong = newPassword();
  const cases = [
    [postgres.url("latin"), 2, /LATIN1.*--encoding=UTF8/],
    [postgres.url(name, wrong), 1, /password authentication failed/],
    [url.replace(/:\d+\//, ":1/"), 1, /127\.0\.0\.1:1/],
    [`${url}?nonsense=1`, 2, /storage\.url/],
    [url.replace("postgresql:", "mysql:"), 2, /storage\.url.*wants sqlite:PATH or postgresql:/],
  ];
  for (const [address, code, text] of cases) {
    const refused = await refusedStart(on(address));
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, text);
    assert.deepEqual(findPlanted(refused.stderr, "the error"), []);
    const listed = await countersign(["user", "list"], on(address));
    assert.equal(listed.code, code);
  }
  const checked = await countersign(["config", "check"], on(url));
  assert.equal(checked.stdout, "the settings are good\n");
});

test("commands work beside running nodes: a person disabled by one is out on all within 2 s", async () => {
  const { url } = await postgres.database();
  const server = await startServer(on(url));
  const person = await newPerson(server);
  const gateway = await Gateway.connect(server, await person.client.ticket());
  // From a machine of its own, with the master key.
  const operator = ["--data-dir", folderOfNode(server)];
  const begun = performance.now();
  const disabled = await countersign(["user", "disable", person.name, ...operator], on(url));
  assert.equal(disabled.code, 0, disabled.stderr);
  assert.equal((await gateway.closed).code, 4503);
  assert.ok(performance.now() - begun < 2000 + patienceOfCommand, "within 2 s of the command");
  assert.equal((await server.client().signIn(person.name, person.password)).status, 403);
});

/** A command starts, connects and hashes keys before it acts. */
const patienceOfCommand = 3000;
