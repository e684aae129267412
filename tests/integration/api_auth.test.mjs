// POST /api/auth: the door the C# tutorial's pages use; and what a ticket says of a person.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { verify } from "../support/tickets.mjs";
import { Gateway, refusal } from "../support/websocket.mjs";

const friend = "https://app.example.org";
const server = await startServer({ settings: { "server.allowed_origins": friend } });
const application = (of = server) => ({ key: of.applicationKey, secret: of.applicationSecret });
const ada = await newPerson(server, { stem: "Ada" });

/** A client without cookies, as pages of other origins are. */
function visitor(of = server, options) {
  return of.client(options);
}

function credentials(person = ada) {
  return { username: person.name, password: person.password };
}

test("answers a JSON body and a form body with a ticket", async () => {
  for (const body of [{ json: credentials() }, { form: credentials() }]) {
    for (const address of ["/api/auth", "/api/auth/"]) {
      const answer = await visitor().post(address, { ...body, site: null });
      assert.equal(answer.status, 200, answer.body);
      assert.match(answer.headers["content-type"], /^application\/json/);
      const claims = verify(plant("ticket", answer.json.userTicket), application());
      assert.deepEqual(claims.identity, { type: "username", endpoint: ada.name });
      assert.deepEqual(answer.setCookies, [], "sets no cookie");
    }
  }
});

test("the address of the tutorial works in its spelling", async () => {
  const answer = await visitor().post("/SinchBackend/Api/Auth/", { form: credentials(), site: null });
  assert.equal(answer.status, 200, answer.body);
  plant("ticket", answer.json.userTicket);
});

test("the gateway takes the ticket, and `user sign-out` ends it", async () => {
  const grace = await newPerson(server);
  const answer = await visitor().post("/api/auth", { json: credentials(grace), site: null });
  const ticket = plant("ticket", answer.json.userTicket);
  const gateway = await Gateway.connect(server, ticket);
  assert.equal((await server.command(["user", "sign-out", grace.name])).code, 0);
  assert.equal((await gateway.closed).code, 4503);
  assert.equal((await refusal(server, ticket)).reply.error.code, 101);
});

test("a wrong password and an unknown name are the same 403", async () => {
  const wrong = await visitor().post("/api/auth", { json: { ...credentials(), password: newPassword() }, site: null });
  const unknown = await visitor().post("/api/auth", {
    json: { username: newName(), password: newPassword() },
    site: null,
  });
  for (const answer of [wrong, unknown]) {
    assert.equal(answer.status, 403);
    assert.equal(answer.json.code, 600);
    assert.match(answer.headers["content-type"], /^application\/problem\+json/);
  }
  assert.deepEqual(flat(wrong), flat(unknown));
});

/** An answer without what differs between any two: its id and the time. */
function flat(answer) {
  const { date, "x-request-id": id, ...headers } = answer.headers;
  return { status: answer.status, headers, body: answer.body.replaceAll(id, "ID") };
}

test("cookies are neither read nor set: a session's cookie helps nothing and loses nothing", async () => {
  const { client } = await newPerson(server);
  const refused = await client.post("/api/auth", { json: { username: newName(), password: newPassword() } });
  assert.equal(refused.status, 403);
  assert.deepEqual(refused.setCookies, []);
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200);
});

test("credentials in the query string are refused, saying so, unless the switch is on", async () => {
  const query = new URLSearchParams(credentials());
  const refused = await visitor().post(`/api/auth/?${query}`, { site: null });
  assert.equal(refused.status, 400);
  assert.equal(refused.json.code, 616);
  assert.match(refused.json.title, /query string/);

  const open = await startServer({ settings: { "compat.query_credentials": "true" } });
  await open.logged({ event: "query_credentials", level: "warning" });
  const person = await newPerson(open);
  const answer = await visitor(open).post(`/SinchBackend/Api/Auth/?${new URLSearchParams(credentials(person))}`, {
    site: null,
  });
  assert.equal(answer.status, 200, answer.body);
  plant("ticket", answer.json.userTicket);
  const wrong = await visitor(open).post(`/api/auth?${new URLSearchParams({ username: person.name, password: newPassword() })}`, { site: null });
  assert.equal(wrong.status, 403);
});

test("other bodies get their documented code", async () => {
  const cases = [
    [{ body: "x", headers: { "content-type": "text/plain" } }, 415, 632],
    [{ body: "{", headers: { "content-type": "application/json" } }, 400, 107],
    [{ body: "[]", headers: { "content-type": "application/json" } }, 400, 107],
    [{ body: '{"username":1,"password":"x"}', headers: { "content-type": "application/json" } }, 400, 107],
    [{ form: { username: "only" } }, 400, 107],
    [{ body: "username=a&username=b&password=c", headers: { "content-type": "application/x-www-form-urlencoded" } }, 400, 107],
    [{ body: "username=%ff&password=c", headers: { "content-type": "application/x-www-form-urlencoded" } }, 400, 107],
    [{}, 400, 107],
  ];
  for (const [body, status, code] of cases) {
    const answer = await visitor().post("/api/auth", { ...body, site: null });
    assert.deepEqual([answer.status, answer.json.code], [status, code], JSON.stringify(body));
  }
});

test("CORS: a listed origin may read the answers, refusals too; without cookies", async () => {
  for (const [body, status] of [
    [credentials(), 200],
    [{ username: newName(), password: newPassword() }, 403],
  ]) {
    const answer = await visitor().post("/api/auth", { json: body, origin: friend, site: "cross-site" });
    assert.equal(answer.status, status);
    assert.equal(answer.headers["access-control-allow-origin"], friend);
    assert.equal(answer.headers["access-control-allow-credentials"], undefined);
    assert.match(answer.headers.vary, /Origin/);
    if (status === 200) plant("ticket", answer.json.userTicket);
  }
  const preflight = await visitor().request("OPTIONS", "/api/auth", {
    origin: friend,
    headers: { "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-origin"], friend);
  assert.match(preflight.headers["access-control-allow-methods"], /POST/);
  assert.match(preflight.headers["access-control-allow-headers"], /content-type/i);
});

test("CORS: an origin that is not listed is never reflected", async () => {
  for (const origin of ["https://evil.example", "null", `${friend}.evil.example`, friend.toUpperCase()]) {
    const answer = await visitor().post("/api/auth", { json: credentials(), origin, site: "cross-site" });
    assert.equal(answer.headers["access-control-allow-origin"], undefined, origin);
    const preflight = await visitor().request("OPTIONS", "/api/auth", {
      origin,
      headers: { "access-control-request-method": "POST" },
    });
    assert.equal(preflight.headers["access-control-allow-origin"], undefined, origin);
    if (answer.status === 200) plant("ticket", answer.json.userTicket);
  }
});

test("names are unique however they are spelled, and the ticket has the stored spelling", async () => {
  const stored = `Zoe\u0301-${crypto.randomBytes(4).toString("hex")}`; // decomposed
  const person = { client: server.client(), name: stored, password: newPassword() };
  assert.equal((await person.client.signUp(person.name, person.password)).status, 303);
  for (const spelling of [stored.normalize("NFC"), stored.toLowerCase(), stored.toUpperCase()]) {
    const taken = await server.client().signUp(spelling, newPassword());
    assert.equal(taken.status, 422, spelling);
    assert.match(taken.body, /This user name is taken/);
    const answer = await visitor().post("/api/auth", {
      json: { username: spelling, password: person.password },
      site: null,
    });
    assert.equal(answer.status, 200, spelling);
    const claims = verify(plant("ticket", answer.json.userTicket), application());
    assert.equal(claims.identity.endpoint, stored.normalize("NFC"));
  }
});

test("a name holds no @, and the sign-in field takes name or address", async () => {
  const refused = await server.client().signUp("someone@example.org", newPassword());
  assert.equal(refused.status, 422);
  const email = `Ada.${crypto.randomBytes(4).toString("hex")}@Example.org`;
  const person = await newPerson(server, { email });
  for (const name of [email, email.toLowerCase(), person.name]) {
    assert.equal((await server.client().signIn(name, person.password)).status, 303, name);
  }
});

for (const [mode, type] of [
  ["email", "email"],
  ["email_as_username", "username"],
]) {
  test(`issuing.identity = ${mode}: the ticket names the address, as an identity of type ${type}`, async () => {
    const issuer = await startServer({ settings: { "issuing.identity": mode } });
    await issuer.logged({ event: "unconfirmed_addresses_are_identities", level: "warning" });
    const email = "Ada.Lovelace@example.org";
    const person = await newPerson(issuer, { email });
    const claims = verify(await person.client.ticket(), application(issuer));
    assert.equal(claims.identity.type, type);
    assert.equal(claims.identity.endpoint, email);
    const gateway = await Gateway.connect(issuer, await person.client.ticket());
    assert.deepEqual(gateway.hello.user, { type, endpoint: email });
    await gateway.close();

    const without = await issuer.client().signUp(newName(), newPassword());
    assert.equal(without.status, 422, "the address is required");
    assert.match(without.body, /address is required/);
    const again = await issuer.client().signUp(newName(), newPassword(), { email: email.toUpperCase() });
    assert.equal(again.status, 422, "and unique");
    const nameless = issuer.client();
    assert.equal(
      (await nameless.post("/users/sign_up", { form: { email: "b@example.org", password: newPassword() } })).status,
      303,
      "no user name is needed",
    );
    assert.equal(verify(await nameless.ticket(), application(issuer)).identity.endpoint, "b@example.org");
  });
}

test("an operator's own key and secret make another platform's tickets, without our extension if so set", async () => {
  const folder = temporaryFolder("platform");
  const key = crypto.randomUUID();
  const secret = plant("platform secret", crypto.randomBytes(24).toString("base64"));
  const file = path.join(folder, "secret");
  fs.writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  const issuer = await startServer({
    settings: { "application.key": key, "application.secret_file": file, "issuing.session_member": "false" },
  });
  const { client, name } = await newPerson(issuer);
  const claims = verify(await client.ticket(), { key, secret });
  assert.deepEqual(claims.identity, { type: "username", endpoint: name });
  assert.equal(claims.session, undefined);
  // Our own gateway takes them too, and `user sign-out` ends them by the identity's watermark.
  const ticket = await client.ticket();
  const gateway = await Gateway.connect(issuer, ticket);
  const done = await issuer.command(["user", "sign-out", name, "--set", `application.key=${key}`, "--set", `application.secret_file=${file}`]);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await gateway.closed).code, 4503);
  assert.equal((await refusal(issuer, ticket)).reply.error.code, 101);
  assert.ok(!fs.existsSync(path.join(issuer.dataDir, "app.secret")), "no secret of its own");
});

test("issuing.ticket_seconds is the lifetime", async () => {
  const issuer = await startServer({ settings: { "issuing.ticket_seconds": 120 } });
  const { client } = await newPerson(issuer);
  assert.equal(verify(await client.ticket(), application(issuer)).expiresIn, 120);
});
