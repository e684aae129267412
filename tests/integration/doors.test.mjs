// The doors: sign-in, sign-up, sign-out, /api/auth. Who may knock, and that the answers tell nothing.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { welch, withoutOutliers } from "../support/statistics.mjs";

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

function flat(answer) {
  const { date, "x-request-id": id, "set-cookie": cookies = [], ...headers } = answer.headers;
  const names = cookies.map((line) => line.replace(/=[^;]*/, "=…"));
  const body = answer.body.replaceAll(id ?? "\0", "ID").replaceAll(/name="csrf_token" value="[^"]*"/g, "TOKEN");
  return { status: answer.status, headers, cookies: names, body };
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

// --- that they tell nothing ---------------------------------------------------------------------

test("sign-in: unknown name, wrong password and throttled are one answer", async () => {
  const person = await newPerson(server);
  const wrong = await stranger().signIn(person.name, newPassword());
  const unknownName = person.name.replace("person", "nobody"); // as long: the page shows the name again
  const unknown = await stranger().signIn(unknownName, newPassword());
  assert.equal(wrong.status, 422);
  const same = (answer, name) => JSON.stringify(flat(answer)).replaceAll(name, "NAME");
  assert.equal(same(wrong, person.name), same(unknown, unknownName));

  const guesser = stranger();
  for (let i = 0; i < 5; ++i) await guesser.signIn(person.name, newPassword());
  guesser.cookies.clear();
  const throttled = await guesser.signIn(person.name, person.password);
  assert.equal(same(throttled, person.name), same(wrong, person.name), "the right password, throttled");
  assert.equal(throttled.headers["retry-after"], undefined);
  await server.logged({ event: "sign_in", result: "throttled" });

  const json = { headers: { accept: "application/json" } };
  const problem = await stranger().post("/users/sign_in", { json: { username: unknownName, password: newPassword() }, ...json });
  assert.equal(problem.status, 401);
  assert.equal(problem.json.code, 600);
  assert.ok(problem.headers["www-authenticate"]);
});

test("throttle: the fifth failure from one place closes the account to that place, not to others", async () => {
  const person = await newPerson(server);
  const guesser = stranger();
  for (let i = 0; i < 5; ++i) assert.equal((await guesser.signIn(person.name, newPassword())).status, 422);
  assert.equal((await guesser.signIn(person.name, person.password)).status, 422);
  assert.equal((await stranger().signIn(person.name, person.password)).status, 303);
});

test("throttle: a known device is not kept out by the failures of others at the same place", async () => {
  const place = newPlace();
  const owner = await newPerson(server, { localAddress: place });
  const guesser = server.client({ localAddress: place });
  for (let i = 0; i < 12; ++i) await guesser.signIn(owner.name, newPassword());
  assert.equal((await guesser.signIn(owner.name, owner.password)).status, 422);
  await owner.client.signOut();
  assert.ok(owner.client.cookie("device"), "the device is known after signing out too");
  assert.equal((await owner.client.signIn(owner.name, owner.password)).status, 303);
});

test("throttle: a known device has ten tries, then it is a stranger", async () => {
  const owner = await newPerson(server, { localAddress: newPlace() });
  await owner.client.signOut();
  for (let i = 0; i < 10; ++i) {
    assert.equal((await owner.client.signIn(owner.name, newPassword())).status, 422);
  }
  for (let i = 0; i < 5; ++i) await owner.client.signIn(owner.name, newPassword());
  assert.equal((await owner.client.signIn(owner.name, owner.password)).status, 422);
  assert.equal((await server.command(["user", "unlock", owner.name])).code, 0);
  owner.client.forget("device");
  assert.equal((await stranger().signIn(owner.name, owner.password)).status, 303);
});

test("throttle: one place may fail ten times a minute, over all accounts", async () => {
  const guesser = stranger();
  const person = await newPerson(server);
  for (let i = 0; i < 10; ++i) await guesser.signIn(newName("nobody"), newPassword());
  assert.equal((await guesser.signIn(person.name, person.password)).status, 422);
  assert.equal((await stranger().signIn(person.name, person.password)).status, 303);
});

test("throttle: parallel guesses are counted before they are judged", async () => {
  const person = await newPerson(server);
  const place = newPlace();
  const guesses = Array.from({ length: 6 }, () => server.client({ localAddress: place }));
  await Promise.all(guesses.map((guesser) => guesser.signIn(person.name, newPassword())));
  const right = await server.client({ localAddress: place }).signIn(person.name, person.password);
  assert.equal(right.status, 422);
});

test("sign-up: taken names are told and throttled; sign-ups from one address are limited", async () => {
  const limited = await startServer({ settings: { "accounts.sign_ups_per_hour": 2 } });
  const client = limited.client();
  for (const status of [303, 303, 429]) {
    const answer = await limited.client().signUp(newName(), newPassword());
    assert.equal(answer.status, status);
    if (status === 429) assert.equal(answer.headers["retry-after"], "3600");
  }
  assert.equal((await limited.client({ localAddress: newPlace() }).signUp(newName(), newPassword())).status, 303);
  assert.equal((await client.get("/users/sign_up")).status, 200);

  const person = await newPerson(server);
  const taken = await stranger().signUp(person.name, newPassword());
  assert.equal(taken.status, 422);
  assert.match(taken.body, /This user name is taken/);
});

test("sign-up tells which rule a password breaks", async () => {
  const name = newName();
  for (const [password, code] of [
    ["short one", 609],
    ["x".repeat(1025), 610],
    ["passwordpassword", 611],
    [`${name} ${name}`, 612],
  ]) {
    const answer = await stranger().post("/users/sign_up", {
      json: { username: name, password },
      headers: { accept: "application/json" },
    });
    assert.deepEqual([answer.status, answer.json.code], [422, code], password.slice(0, 20));
  }
});

test("an address that somebody has is not told to strangers", async () => {
  const email = `taken.${Date.now()}@example.org`;
  await newPerson(server, { email });
  const answers = [];
  for (const address of [email, `free.${Date.now()}@example.org`]) {
    answers.push(await stranger().signUp(newName(), newPassword(), { email: address }));
  }
  assert.equal(answers[0].status, 303);
  assert.deepEqual(flat(answers[0]), flat(answers[1]));
});

test("sign_up = closed: no form, no account, no link", async () => {
  const closed = await startServer({ settings: { "accounts.sign_up": "closed" } });
  const client = closed.client();
  assert.equal((await client.get("/users/sign_up")).status, 403);
  const answer = await client.signUp(newName(), newPassword());
  assert.equal(answer.status, 403);
  assert.doesNotMatch((await client.get("/users/sign_in")).body, /sign_up/);
  const name = newName();
  const password = newPassword();
  assert.equal((await closed.command(["user", "add", name], { input: `${password}\n` })).code, 0);
  assert.equal((await client.signIn(name, password)).status, 303);
});

test("sign-in and sign-up: the time tells nothing, and the work stays within the floor", async () => {
  const floor = 250;
  const timed = await startServer({ settings: { "accounts.answer_floor_ms": floor, "log.level": "warning" } });
  const newcomer = () => timed.client({ localAddress: newPlace() });
  const known = [newName(), newName(), newName(), newName()];
  await Promise.all(
    known.map(async (name) => {
      const answer = await newcomer().signUp(name, newPassword());
      assert.equal(answer.status, 303);
      assert.ok(answer.ms >= floor - 1, `signed up after ${answer.ms} ms`);
    }),
  );
  const samples = { known: [], unknown: [] };
  const attempt = async (kind, name) => {
    const answer = await newcomer().signIn(name, newPassword());
    assert.equal(answer.status, 422);
    samples[kind].push(answer.ms);
  };
  // Both kinds side by side, each attempt from an address of its own.
  for (let round = 0; round < 50; ++round) {
    await Promise.all([
      attempt("known", known[round % 4]),
      attempt("unknown", newName("nobody")),
      attempt("known", known[(round + 1) % 4]),
      attempt("unknown", newName("nobody")),
    ]);
  }
  const [a, b] = withoutOutliers(samples.known, samples.unknown);
  const t = welch(a, b);
  assert.ok(Math.abs(t) < 4.5, `Welch's t is ${t.toFixed(2)}`);
  const all = [...a, ...b].sort((x, y) => x - y);
  assert.ok(all[0] >= floor - 1, `answered after ${all[0]} ms`);
  const median = all[all.length >> 1];
  assert.ok(median < floor + 30, `half of the answers came after ${median} ms: the work exceeds the floor`);
});
