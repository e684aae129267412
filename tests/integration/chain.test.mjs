// The whole chain: a person signs up, gets a ticket, and a client lives with it, until somebody ends it.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { verify } from "../support/tickets.mjs";
import { eventually } from "../support/waiting.mjs";
import { Gateway, refusal } from "../support/websocket.mjs";

const server = await startServer();
const application = () => ({ key: server.applicationKey, secret: server.applicationSecret });

/** Revocation is promised within two seconds; how long it took since `began`. */
async function assertRevokedSince(gateway, began) {
  const { code } = await gateway.closed;
  const took = performance.now() - began;
  assert.equal(code, 4503);
  assert.ok(took < 2000, `the client lived ${Math.round(took)} ms longer`);
}

async function assertRefusedEverywhere({ copy, ticket, credential }) {
  // The gateway has heard of it; the pages hear within the same two seconds.
  const page = await eventually(
    () => copy.get("/"),
    (answer) => answer.status === 303,
    "the pages to refuse the cookie",
    2000,
  );
  assert.equal(page.headers.location, "/users/sign_in");
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
  const account = await copy.get("/users/account");
  assert.equal(account.status, 303);
  for (const proof of [ticket, credential].filter(Boolean)) {
    const { reply, closed } = await refusal(server, proof);
    assert.equal(reply.error.code, 101);
    assert.ok(closed.code === 4503 || closed.code === 4500, `closed with ${closed.code}`);
  }
}

test("a stranger is sent to the sign-in page", async () => {
  const stranger = server.client();
  const answer = await stranger.get("/");
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, "/users/sign_in");
  assert.equal((await stranger.get("/users/sign_in")).status, 200);
  assert.equal((await stranger.post("/v1/tickets", { json: {} })).status, 401);
});

test("signing up signs in, and the ticket verifies in an independent implementation", async () => {
  const client = server.client();
  const name = newName();
  const answer = await client.signUp(name, newPassword());
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, "/");
  const page = await client.get("/");
  assert.equal(page.status, 200);
  assert.match(page.body, new RegExp(name));

  const given = await client.post("/v1/tickets", { json: {} });
  assert.equal(given.status, 200);
  assert.deepEqual(Object.keys(given.json), ["userTicket", "expiresAt"]);
  const claims = verify(given.json.userTicket, application());
  assert.deepEqual(claims.identity, { type: "username", endpoint: name });
  assert.match(claims.session, /^[A-Za-z0-9_-]{1,64}$/);
  assert.equal(Date.parse(given.json.expiresAt), Date.parse(claims.created) + claims.expiresIn * 1000);
});

test("a client starts with the ticket, pings, refreshes and reconnects", async () => {
  const { client, name } = await newPerson(server);
  const first = await Gateway.connect(server, await client.ticket(), { device: "tab-1" });
  assert.deepEqual(first.hello.user, { type: "username", endpoint: name });
  assert.equal(first.hello.device, "tab-1");
  assert.ok(Date.parse(first.hello.instance_expires_at) > Date.now());
  assert.equal(first.hello.ping.pong, true);
  assert.equal(first.hello.limits.max_frame_bytes, 64 * 1024);
  assert.deepEqual((await first.command("ping")).ping, {});
  const refreshed = await first.command("refresh", { userTicket: await client.ticket() });
  assert.ok(Date.parse(refreshed.refresh.instance_expires_at) >= Date.parse(first.hello.instance_expires_at));

  first.socket.drop();
  const second = await Gateway.connect(server, first.credential);
  assert.equal(second.hello.device, "tab-1");
  assert.equal(second.hello.secret, undefined, "the secret is told once");
  assert.equal(second.hello.instance, undefined);
  await second.close();
});

test("a ticket of somebody else does not prolong an instance, and changes nothing", async () => {
  const one = await newPerson(server);
  const other = await newPerson(server);
  const gateway = await Gateway.connect(server, await one.client.ticket());
  const reply = await gateway.command("refresh", { userTicket: await other.client.ticket() });
  assert.equal(reply.error.code, 103);
  assert.deepEqual((await gateway.command("ping")).ping, {});
  await gateway.close();
});

test("terminate ends the instance for good", async () => {
  const { client } = await newPerson(server);
  const gateway = await Gateway.connect(server, await client.ticket());
  assert.deepEqual((await gateway.command("terminate")).terminate, {});
  assert.equal((await gateway.closed).code, 1000);
  const { reply, closed } = await refusal(server, gateway.credential);
  assert.equal(reply.error.code, 101);
  assert.equal(closed.code, 4500);
});

test("the same device again replaces the older connection", async () => {
  const { client } = await newPerson(server);
  const older = await Gateway.connect(server, await client.ticket(), { device: "phone" });
  const newer = await Gateway.connect(server, await client.ticket(), { device: "phone" });
  assert.equal((await older.closed).code, 4508);
  assert.deepEqual((await newer.command("ping")).ping, {});
  await newer.close();
});

test("two devices of one person live side by side", async () => {
  const { client } = await newPerson(server);
  const ticket = await client.ticket();
  const one = await Gateway.connect(server, ticket, { device: "one" });
  const two = await Gateway.connect(server, ticket, { device: "two" });
  assert.notEqual(one.instance, two.instance);
  assert.deepEqual((await one.command("ping")).ping, {});
  assert.deepEqual((await two.command("ping")).ping, {});
  await one.close();
  await two.close();
});

test("sign-out means out: cookie, copied cookie, ticket and instance", async () => {
  const { client, name, password } = await newPerson(server);
  const copy = client.copy();
  const ticket = await client.ticket();
  const gateway = await Gateway.connect(server, ticket);
  const began = performance.now();
  const answer = await client.signOut();
  assert.equal(answer.status, 303);
  assert.equal(answer.headers["clear-site-data"], '"cache"');
  assert.equal(client.cookie("session"), undefined);
  await assertRevokedSince(gateway, began);
  await assertRefusedEverywhere({ copy, ticket, credential: gateway.credential });
  // A new sign-in works, and its tickets too.
  assert.equal((await client.signIn(name, password)).status, 303);
  await (await Gateway.connect(server, await client.ticket())).close();
  await assertRefusedEverywhere({ copy, ticket, credential: gateway.credential });
});

test("DELETE signs out as well", async () => {
  const { client } = await newPerson(server);
  const copy = client.copy();
  assert.equal((await client.request("DELETE", "/users/sign_out")).status, 303);
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
});

test("`user sign-out` in another process ends sessions, tickets and clients", async () => {
  const { client, name, password } = await newPerson(server);
  const ticket = await client.ticket();
  const gateway = await Gateway.connect(server, ticket);
  const copy = client.copy();
  const done = await server.command(["user", "sign-out", name]);
  const began = performance.now();
  assert.equal(done.code, 0, done.stderr);
  await assertRevokedSince(gateway, began);
  await assertRefusedEverywhere({ copy, ticket, credential: gateway.credential });
  assert.equal((await client.signIn(name, password)).status, 303);
});

test("`user disable` in another process shuts the person out until `user enable`", async () => {
  const { client, name, password } = await newPerson(server);
  const ticket = await client.ticket();
  const gateway = await Gateway.connect(server, ticket);
  const copy = client.copy();
  const done = await server.command(["user", "disable", name]);
  const began = performance.now();
  assert.equal(done.code, 0, done.stderr);
  await assertRevokedSince(gateway, began);
  await assertRefusedEverywhere({ copy, ticket, credential: gateway.credential });
  const refused = await client.signIn(name, password);
  assert.equal(refused.status, 403, "told, because the password was right");
  assert.match(refused.body, /disabled/);
  assert.equal((await server.command(["user", "enable", name])).code, 0);
  assert.equal((await client.signIn(name, password)).status, 303);
});

test("a password change ends every other session and its clients, and renews this one", async () => {
  const { client, name, password } = await newPerson(server);
  const elsewhere = server.client();
  assert.equal((await elsewhere.signIn(name, password)).status, 303);
  const ticketElsewhere = await elsewhere.ticket();
  const gatewayElsewhere = await Gateway.connect(server, ticketElsewhere);
  const before = client.copy();

  const changed = newPassword();
  const began = performance.now();
  const answer = await client.post("/users/password", {
    form: { current_password: password, new_password: changed },
  });
  assert.equal(answer.status, 303, answer.body);
  await assertRevokedSince(gatewayElsewhere, began);
  await assertRefusedEverywhere({ copy: elsewhere, ticket: ticketElsewhere, credential: gatewayElsewhere.credential });
  assert.equal((await before.post("/v1/tickets", { json: {} })).status, 401, "the old id is dead");
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200);
  const again = server.client();
  assert.equal((await again.signIn(name, password)).status, 422);
  assert.equal((await again.signIn(name, changed)).status, 303);
});

test("a wrong present password changes nothing", async () => {
  const { client, name, password } = await newPerson(server);
  const answer = await client.post("/users/password", {
    form: { current_password: newPassword(), new_password: newPassword() },
  });
  assert.equal(answer.status, 422);
  assert.equal((await server.client().signIn(name, password)).status, 303);
});

test("a person sees the sessions and ends one of them", async () => {
  const { client, name, password } = await newPerson(server);
  const other = server.client();
  assert.equal((await other.signIn(name, password)).status, 303);
  const ticket = await other.ticket();
  const gateway = await Gateway.connect(server, ticket);
  const account = await client.get("/users/account");
  const ends = [...account.body.matchAll(/action="(\/users\/sessions\/[^"/]+\/end)"/g)].map((match) => match[1]);
  assert.equal(ends.length, 1, "the present session has no button");
  const began = performance.now();
  assert.equal((await client.post(ends[0], { form: {} })).status, 303);
  await assertRevokedSince(gateway, began);
  await assertRefusedEverywhere({ copy: other, ticket, credential: gateway.credential });
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200);
});

test("nobody ends a session of somebody else", async () => {
  const victim = await newPerson(server);
  const claims = verify(await victim.client.ticket(), application());
  const attacker = await newPerson(server);
  const answer = await attacker.client.post(`/users/sessions/${claims.session}/end`, { form: {} });
  assert.ok([303, 404].includes(answer.status), `${answer.status}`);
  assert.equal((await victim.client.post("/v1/tickets", { json: {} })).status, 200);
});

test("signing out everywhere ends all sessions", async () => {
  const { client, name, password } = await newPerson(server);
  const other = server.client();
  assert.equal((await other.signIn(name, password)).status, 303);
  assert.equal((await client.post("/users/sign_out_everywhere", { form: {} })).status, 303);
  for (const each of [client, other]) {
    assert.equal((await each.post("/v1/tickets", { json: {} })).status, 401);
  }
});

test("the eleventh session ends the oldest", async () => {
  const { client, name, password } = await newPerson(server);
  for (let i = 0; i < 10; ++i) {
    assert.equal((await server.client().signIn(name, password)).status, 303);
  }
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 401);
});

test("a ticket of a session that has ended is refused although no gateway ever saw it", async () => {
  const { client } = await newPerson(server);
  const ticket = await client.ticket();
  await client.signOut();
  const { reply, closed } = await refusal(server, ticket);
  assert.equal(reply.error.code, 101);
  assert.equal(closed.code, 4503);
  await server.logged({ reason: "revoked" });
});

test("instances outlive SIGTERM and kill -9, the person doing nothing", async () => {
  const { client } = await newPerson(server);
  let gateway = await Gateway.connect(server, await client.ticket(), { device: "laptop" });
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    const ended = gateway.closed;
    const outcome = await server.stop(signal);
    if (signal === "SIGTERM") {
      assert.deepEqual(outcome, { code: 0, signal: null });
      assert.equal((await ended).code, 4101);
    } else {
      assert.equal((await ended).code, 1006);
    }
    await server.restart();
    const back = await Gateway.connect(server, gateway.credential);
    assert.equal(back.instance, gateway.instance);
    assert.equal(back.hello.device, "laptop");
    assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200, "the session is there too");
    gateway = back;
  }
  // What was ended stays ended, also across a restart.
  await client.signOut();
  assert.equal((await gateway.closed).code, 4503);
  await server.kill();
  await server.restart();
  const { closed } = await refusal(server, gateway.credential);
  assert.ok(closed.code === 4500 || closed.code === 4503);
});

test("what was acknowledged is there after kill -9: accounts, passwords, sign-outs", async () => {
  for (let round = 0; round < 3; ++round) {
    const { client, name, password } = await newPerson(server);
    const copy = client.copy();
    const changed = newPassword();
    const answer = await client.post("/users/password", {
      form: { current_password: password, new_password: changed },
    });
    assert.equal(answer.status, 303);
    const renewed = client.copy();
    assert.equal((await client.signOut()).status, 303);
    await server.kill();
    await server.restart();
    for (const dead of [copy, renewed]) assert.equal((await dead.post("/v1/tickets", { json: {} })).status, 401);
    const again = server.client({ localAddress: `127.6.0.${round + 1}` });
    assert.equal((await again.signIn(name, password)).status, 422);
    assert.equal((await again.signIn(name, changed)).status, 303);
  }
});
