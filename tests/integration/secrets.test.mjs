// Nothing the server writes or says ever holds a password, a secret, a cookie or a ticket, but where it hands
// one to its owner (tests/support/traffic.mjs lists those places). Every test plants what it uses, and every
// server is searched when it ends, with its log, files, metrics, answers and frames; here one server goes
// through everything at once, at the chattiest log level, and through every way of being wrong.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { RawConnection } from "../support/raw.mjs";
import { findPlanted, plant, plantedValues, searchFiles } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { mint } from "../support/tickets.mjs";
import { Traffic, elsewhere } from "../support/traffic.mjs";
import { Gateway, WebSocketClient, refusal } from "../support/websocket.mjs";

const server = await startServer({ settings: { "log.level": "debug", "compat.query_credentials": "true" } });

test("the search finds what is there", () => {
  const value = plant("test value", "a value that is planted & found: 100%");
  for (const text of [value, encodeURIComponent(value), JSON.stringify({ value }), Buffer.from(value).toString("base64")]) {
    assert.notDeepEqual(findPlanted(`before ${text} after`, "here"), [], text);
  }
  assert.deepEqual(findPlanted("nothing", "here"), []);
});

test("the search sees everything that is said, and excuses only what is handed over, and only there", () => {
  const [ticket, cookie, secret, password] = ["ticket", "session cookie", "instance secret", "password"].map((kind) =>
    plant(kind, crypto.randomBytes(24).toString("base64url")),
  );
  const found = (say) => {
    const traffic = new Traffic();
    say(traffic);
    return traffic.find().length;
  };
  const body = JSON.stringify({ userTicket: ticket });
  assert.equal(found((said) => said.answer("POST /v1/tickets", [], body)), 0);
  assert.equal(found((said) => said.answer("POST /SinchBackend/Api/Auth/?username=x", [], body)), 0);
  assert.equal(found((said) => said.answer("GET /", [], body)), 1, "a ticket in a page");
  assert.equal(found((said) => said.answer("POST /v1/tickets", [], `${body}${ticket}`)), 1, "a ticket twice");
  assert.equal(found((said) => said.answer("POST /v1/tickets", [["x-ticket", ticket]], body)), 1, "a ticket in a header");
  assert.equal(found((said) => said.answer("POST /v1/tickets", [], JSON.stringify({ userTicket: "x", password }))), 1);
  assert.equal(found((said) => said.answer("GET /", [["set-cookie", `__Host-cs_session=${cookie}; Path=/`]], "")), 0);
  assert.equal(found((said) => said.answer("GET /", [["set-cookie", `a=b; Path=/${cookie}`]], "")), 1, "an attribute");
  assert.equal(found((said) => said.answer("GET /", [["location", `/?${cookie}`]], "")), 1, "a header");
  const reply = JSON.stringify({ id: 1, connect: { instance: "i", secret } });
  assert.equal(found((said) => said.connection()("message", reply)), 0);
  assert.equal(found((said) => [said.connection()].map((heard) => [heard("message", reply), heard("message", reply)])), 1, "once");
  assert.equal(found((said) => said.connection()("message", JSON.stringify({ push: { note: secret } }))), 1);
  assert.equal(found((said) => said.connection()("close reason", ticket)), 1);
  const printed = (args, stdout, stderr = "") => found((said) => said.command(args, { code: 0, stdout, stderr }));
  assert.equal(printed(["ticket", "issue"], `${ticket}\n`), 0);
  assert.equal(printed(["ticket", "issue"], `${ticket}\n`, ticket), 1, "on stderr");
  assert.equal(printed(["ticket", "inspect"], `${ticket}\n`), 1);
  assert.equal(printed(["app", "create", "x"], `application key     k\napplication secret  ${secret}\n`), 0);
  assert.equal(printed(["app", "list"], `application secret  ${secret}\n`), 1);
});

test("one person's whole life leaves no secret behind", async () => {
  const person = await newPerson(server, { email: `${newName("mail")}@example.org` });
  const { client, name, password } = person;
  await client.get("/");
  await client.get("/users/account");
  const ticket = await client.ticket();
  const gateway = await Gateway.connect(server, ticket);
  await gateway.command("ping");
  await gateway.command("refresh", { userTicket: await client.ticket() });
  await gateway.close();
  await (await Gateway.connect(server, gateway.credential)).close();
  const changed = newPassword();
  await client.post("/users/password", { form: { current_password: password, new_password: changed } });
  await client.signOut();
  await client.signIn(name, changed);
  const given = await client.post("/api/auth", { json: { username: name, password: changed } });
  plant("ticket", given.json.userTicket);
  const query = await client.post(`/api/auth?${new URLSearchParams({ username: name, password: changed })}`);
  plant("ticket", query.json.userTicket);
  await client.post("/users/sign_out_everywhere", { form: {} });
});

test("neither does anything that goes wrong", async () => {
  const { client, name, password } = await newPerson(server);
  const ticket = await client.ticket();
  const gateway = await Gateway.connect(server, ticket);
  const typed = newPassword();
  // Passwords in wrong places: the name's field, the address, a header, a path, a broken body.
  // (The form shows the name again, to whoever typed it; nothing else may.)
  const asName = plant("password typed as a name", `${newName("secret")} with blanks`);
  await client.post("/users/sign_in", { form: { username: asName, password: typed } });
  await client.post("/users/sign_in", { form: { username: name, password: typed } });
  await client.post("/users/sign_up", { form: { username: asName, password: "short" } });
  await client.signUp(name, "short");
  await client.signUp(newName(), typed, { email: asName });
  await client.get(`/api/auth?password=${encodeURIComponent(typed)}`);
  await client.post(`/api/auth?username=${name}&password=${encodeURIComponent(typed)}%zz`);
  await client.post("/api/auth", { body: `{"username":"${name}","password":"${typed}"`, headers: { "content-type": "application/json" } });
  await client.post("/users/sign_in", { form: { username: name, password: typed }, site: "cross-site" });
  await client.post("/users/sign_in", { form: { username: name, password: typed, csrf_token: ticket }, site: null });
  await client.post("/users/password", { form: { current_password: typed, new_password: password } });
  await client.post("/v1/tickets", { json: {}, cookies: false, headers: { cookie: `__Host-cs_session=${client.cookie("session")}x` } });
  await client.get("/", { cookies: false, headers: { authorization: `Bearer ${ticket}` } });
  const raw = await RawConnection.open(server);
  raw.write(`POST /api/auth HTTP/1.1\r\nHost: x\r\nX-Password: ${typed}\0\r\n\r\n`);
  await raw.closed;
  // Tickets and instance secrets that are refused, whole and broken.
  for (const wrong of [ticket.slice(0, -6), `${ticket}x`, mint({ key: "other", secret: server.applicationSecret, username: name })]) {
    await refusal(server, plant("ticket", wrong));
  }
  await refusal(server, { instance: gateway.instance, secret: plant("instance secret", `${gateway.secret.slice(0, -4)}AAAA`) });
  await gateway.command("refresh", { userTicket: plant("ticket", `${ticket.slice(0, -4)}AAA=`) });
  const bad = await WebSocketClient.open(server);
  bad.send(`{"id":1,"connect":{"userTicket":"${ticket}"`);
  await bad.closed;
  await server.command(["user", "sign-out", name]);
  await gateway.closed;
  await server.command(["user", "disable", name]);
  await client.signIn(name, password);
});

test("metrics name no person and hold no secret", async () => {
  const text = await server.metrics();
  assert.match(text, /^countersign_sign_ins_total\{result="succeeded"\} \d+/m);
  assert.match(text, /^countersign_tickets_total\{result="issued"\} \d+/m);
  assert.doesNotMatch(text, /person-/);
  assert.deepEqual(findPlanted(text, "the metrics"), []);
});

test("commands show no secret they were not asked for", async () => {
  for (const args of [["user", "list"], ["user", "list", "--json"], ["app", "list"], ["app", "list", "--json"], ["migrate"]]) {
    const done = await server.command(args);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(findPlanted(done.stdout + done.stderr, args.join(" ")), []);
  }
  assert.ok(elsewhere.size > 0, "what commands print is searched when the file ends too");
});

test("neither log, answers, frames nor files hold anything that was planted", async () => {
  const kinds = new Set(plantedValues().values());
  for (const kind of ["password", "session cookie", "device cookie", "ticket", "instance secret", "application secret", "master key"]) {
    assert.ok(kinds.has(kind), `no ${kind} was planted`);
  }
  assert.ok(server.output.length > 50, "the log was captured");
  assert.ok(server.traffic.size > 50, "so was what it said");
  server.assertNothingLeaked();
  await server.stop();
  assert.deepEqual(searchFiles(server.dataDir), []);
  assert.ok(fs.existsSync(path.join(server.dataDir, "countersign.db")));
});

test("the program's arguments and environment hold no secret while it runs", async () => {
  const running = await startServer();
  const read = (name) => fs.readFileSync(`/proc/${running.pid}/${name}`);
  assert.deepEqual(findPlanted(read("cmdline"), "the command line"), []);
});
