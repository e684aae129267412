// The doors: sign-in, sign-up, sign-out, tickets. Who may knock, and what every answer carries.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { Gateway } from "../support/websocket.mjs";

const friend = "https://app.example.org";
const server = await startServer({ settings: { "server.allowed_origins": friend } });

let lastPlace = 1;
/** An address nobody has used: throttles count by address. */
function newPlace() {
  ++lastPlace;
  return `127.1.${lastPlace >> 8}.${lastPlace & 255}`;
}

function stranger(of = server) {
  return of.client({ localAddress: newPlace() });
}

// --- who may knock ------------------------------------------------------------------------------

const ours = () => server.origin;
const sources = [
  // [what, options, passes the cross-site rule]
  ["same-origin", { site: "same-origin" }, true],
  ["typed by the person (none)", { site: "none" }, true],
  ["same-origin with Origin null, as Referrer-Policy no-referrer makes it", { site: "same-origin", origin: "null" }, true],
  ["another site", { site: "cross-site" }, false],
  ["a neighbour of the same site", { site: "same-site" }, false],
  ["another site under our Origin", { site: "cross-site", origin: ours }, false],
  ["a stranger's Origin called same-origin", { site: "same-origin", origin: "https://evil.example" }, false],
  ["an unknown word", { site: "same-planet" }, false],
  ["an old browser at our origin", { site: null, origin: ours }, true],
  ["an old browser at another origin", { site: null, origin: "https://evil.example" }, false],
  ["an opaque origin", { site: null, origin: "null" }, false],
  ["a listed origin, but with a form", { site: "cross-site", origin: friend }, false],
  ["nothing at all, and no form token", { site: null }, false],
];

for (const [what, { site, origin }, passes] of sources) {
  test(`sign-in and sign-up from ${what}: ${passes ? "admitted" : "refused"}`, async () => {
    const from = { site, origin: typeof origin === "function" ? origin() : origin };
    const name = newName();
    const password = newPassword();
    const up = stranger();
    const signedUp = await up.post("/users/sign_up", { form: { username: name, password }, ...from });
    assert.equal(signedUp.status, passes ? 303 : 403, signedUp.body);
    if (!passes) {
      assert.deepEqual(signedUp.setCookies.filter((line) => /session/.test(line)), []);
      assert.equal((await stranger().signIn(name, password)).status, 422, "nobody was made");
      return;
    }
    const signedIn = await stranger().post("/users/sign_in", { form: { username: name, password }, ...from });
    assert.equal(signedIn.status, 303);
    const client = up;
    const signedOut = await client.post("/users/sign_out", { form: { _method: "delete" }, ...from });
    assert.equal(signedOut.status, 303);
  });
}

test("a signed-in person's requests from elsewhere are refused and change nothing", async () => {
  const { client } = await newPerson(server);
  for (const options of [{ site: "cross-site" }, { site: null, origin: "https://evil.example" }, { site: "same-site" }]) {
    assert.equal((await client.post("/users/sign_out", { form: { _method: "delete" }, ...options })).status, 403);
    assert.equal((await client.post("/users/sign_out_everywhere", { form: {}, ...options })).status, 403);
    assert.equal((await client.post("/v1/tickets", { json: {}, ...options })).status, 403);
  }
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200);
});

test("POST /v1/tickets: a listed origin passes with JSON, with CORS and credentials", async () => {
  const { client } = await newPerson(server);
  const answer = await client.post("/v1/tickets", { json: {}, site: "cross-site", origin: friend });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["access-control-allow-origin"], friend);
  assert.equal(answer.headers["access-control-allow-credentials"], "true");
  const form = await client.post("/v1/tickets", { form: {}, site: "cross-site", origin: friend });
  assert.equal(form.status, 403);
  const preflight = await client.request("OPTIONS", "/v1/tickets", {
    origin: friend,
    headers: { "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  });
  assert.equal(preflight.headers["access-control-allow-credentials"], "true");
  for (const origin of ["https://evil.example", "null"]) {
    const evil = await client.request("OPTIONS", "/v1/tickets", {
      origin,
      headers: { "access-control-request-method": "POST" },
    });
    assert.equal(evil.headers["access-control-allow-origin"], undefined);
  }
});

test("without any header of the browser, the form's own token decides", async () => {
  const client = stranger();
  const form = await client.get("/users/sign_up");
  const token = tokenOf(form);
  const fields = { username: newName(), password: newPassword() };
  const forged = await client.post("/users/sign_up", { form: { ...fields, csrf_token: token.replace(/^../, "zz") }, site: null });
  assert.equal(forged.status, 403);
  const otherPath = await client.post("/users/sign_in", { form: { ...fields, csrf_token: token }, site: null });
  assert.equal(otherPath.status, 403, "a token is for one path");
  const stolen = await stranger().post("/users/sign_up", { form: { ...fields, csrf_token: token }, site: null });
  assert.equal(stolen.status, 403, "and for one browser");
  const passed = await client.post("/users/sign_up", { form: { ...fields, csrf_token: token }, site: null });
  assert.equal(passed.status, 303);

  const page = await client.get("/");
  const refused = await client.post("/users/sign_out", { form: { _method: "delete", csrf_token: "nonsense" }, site: null });
  assert.equal(refused.status, 403);
  const left = await client.post("/users/sign_out", { form: { _method: "delete", csrf_token: tokenOf(page) }, site: null });
  assert.equal(left.status, 303);
});

function tokenOf(answer) {
  return /name="csrf_token" value="([^"]+)"/.exec(answer.body)[1];
}

test("GET changes nothing", async () => {
  const { client } = await newPerson(server);
  for (const path of ["/users/sign_out", "/users/sign_out_everywhere", "/v1/tickets", "/api/auth", "/users/password"]) {
    assert.equal((await client.get(path)).status, 405, path);
  }
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200);
});

// --- what the answers carry ---------------------------------------------------------------------

test("every answer carries the security headers, errors too", async () => {
  const { client } = await newPerson(server);
  const answers = [
    await client.get("/"),
    await client.get("/users/account"),
    await stranger().get("/"),
    await stranger().get("/users/sign_in"),
    await stranger().get("/nothing-here"),
    await stranger().post("/v1/tickets", { json: {} }),
    await stranger().post("/users/sign_in", { form: {}, site: "cross-site" }),
    await stranger().request("PATCH", "/users/sign_in"),
    await stranger().get("/sdk/countersign.js"),
    await stranger().get("/healthz"),
  ];
  for (const { headers, status } of answers) {
    assert.match(headers["content-security-policy"], /default-src 'none'/, `${status}`);
    assert.match(headers["content-security-policy"], /frame-ancestors 'none'/);
    assert.match(headers["content-security-policy"], /base-uri 'none'/);
    assert.match(headers["content-security-policy"], /form-action 'self'/);
    assert.doesNotMatch(headers["content-security-policy"], /unsafe/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
    assert.equal(headers["strict-transport-security"], undefined, "never for localhost");
    assert.equal(headers["access-control-allow-origin"], headers["access-control-allow-origin"] && "*");
    assert.match(headers["x-request-id"], /^\S+$/);
  }
  for (const answer of answers.slice(0, 4)) {
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.match(answer.headers.vary, /Cookie/);
  }
});

test("HSTS is sent where the public URL is https under a real name", async () => {
  const behindProxy = await startServer({ settings: { "server.public_url": "https://calls.example.org" } });
  const answer = await behindProxy.client().get("/users/sign_in");
  assert.equal(answer.headers["strict-transport-security"], "max-age=31536000");
});

test("cookies have all their attributes", async () => {
  const client = stranger();
  await client.get("/users/sign_in");
  const answer = await client.signUp(newName(), newPassword());
  const lines = Object.fromEntries(answer.setCookies.map((line) => [line.split("=")[0], line]));
  for (const line of Object.values(lines)) {
    for (const attribute of ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"]) assert.ok(line.includes(attribute));
    assert.ok(!/domain=/i.test(line));
  }
  assert.ok(!/max-age/i.test(lines["__Host-cs_session"]), "the session goes with the browser");
  assert.match(lines["__Host-cs_device"], /Max-Age=\d{7}/);
  assert.equal(Buffer.from(client.cookie("session"), "base64url").length >= 32, true);
});

test("two cookies of one name are none", async () => {
  const { client } = await newPerson(server);
  const value = client.cookie("session");
  const answer = await client.post("/v1/tickets", {
    json: {},
    cookies: false,
    headers: { cookie: `__Host-cs_session=${value}; __Host-cs_session=${value}` },
  });
  assert.equal(answer.status, 401);
});

test("cookies never authenticate a WebSocket: with a live session's and no ticket it gets nothing", async () => {
  const { client } = await newPerson(server);
  const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200, "the session is live");
  for (const origin of [undefined, server.origin, friend]) {
    const gateway = await Gateway.open(server, { origin, headers: { Cookie: cookie }, localAddress: newPlace() });
    assert.equal(gateway.socket.headers["set-cookie"], undefined);
    assert.equal((await gateway.command("ping")).error.code, 105, "not connected");
    assert.equal((await gateway.command("connect")).error.code, 107, "a connect without a credential");
    assert.equal((await gateway.command("refresh", { userTicket: await client.ticket() })).error.code, 105);
    assert.equal((await gateway.command("connect", { userTicket: client.cookie("session") })).error.code, 101);
    assert.equal((await gateway.push("bye")).code, (await gateway.closed).code);
  }
  const silent = await Gateway.open(server, { headers: { Cookie: cookie }, localAddress: newPlace() });
  assert.equal((await silent.closed).code, 4501);
  const told = silent.objects.all.filter((object) => object.push?.bye === undefined && Object.keys(object).length > 0);
  assert.deepEqual(told, []);
});

test("signing in gives a new session id, and the one before is dead", async () => {
  const { client, name, password } = await newPerson(server);
  const copy = client.copy();
  assert.equal((await client.signIn(name, password)).status, 303);
  assert.notEqual(client.cookie("session"), copy.cookie("session"));
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
});

test("plain http on a network address: no cookie is set, and page and log say why", async () => {
  const exposed = await startServer({ settings: { "server.public_url": "http://intranet.example.org" } });
  await exposed.logged({ event: "cookies_will_not_work", level: "warning" });
  const client = exposed.client();
  const form = await client.get("/users/sign_in");
  assert.match(form.body, /plain http/);
  const answer = await client.signUp(newName(), newPassword());
  assert.deepEqual(answer.setCookies.filter((line) => !/Max-Age=0/.test(line)), []);

  const development = await startServer({
    settings: { "server.public_url": "http://intranet.example.org", "server.insecure_cookies": "true" },
  });
  await development.logged({ event: "insecure_cookies", level: "warning" });
  const other = development.client();
  const signedUp = await other.signUp(newName(), newPassword());
  assert.ok(signedUp.setCookies.some((line) => line.startsWith("cs_session=") && !/Secure/.test(line)));
  assert.equal((await other.get("/")).status, 200);
});

test("a forwarded address is believed only from a trusted proxy", async () => {
  const headers = { "x-forwarded-for": "203.0.113.77" };
  const client = stranger();
  await client.get("/users/sign_in", { headers });
  assert.ok(!server.log.all.some((line) => line.text.includes("203.0.113.77")));
  const behind = await startServer({ settings: { "server.trusted_proxies": "127.0.0.0/8" } });
  await behind.client().get("/users/sign_in", { headers });
  await behind.logged({ event: "http_request", client: /^203\.0\.113\.77/ });
});
