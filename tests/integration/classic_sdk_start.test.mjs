// The real classic SDK, unmodified, in Node: every way to start, every way to be refused, and how it ends.
import assert from "node:assert/strict";
import test from "node:test";
import { ClassicBrowser, ClassicClient, startClassicServer, startedClient } from "../classic/support/client.mjs";
import { versions } from "../classic/support/package.mjs";
import { ticketFor } from "../support/inbox.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { mint, sign } from "../support/tickets.mjs";

const server = await startClassicServer();
const application = { key: server.applicationKey, secret: server.applicationSecret };

/** What an application shows of a refusal: `ERRORCODE message`. */
function assertRefusedAs(error, code, what) {
  assert.match(String(error.message), new RegExp(`^${code} \\S`), what);
}

for (const version of Object.keys(versions)) {
  test(`${version} starts with a ticket, holds its poll, and asks nobody but us and PubNub's clock`, async () => {
    const name = newName("ada");
    const client = await startedClient(server, name, { version });
    assert.equal(client.sinch.getVersion(), version);
    assert.equal(client.session.userId, name);
    await client.log.first(({ message }) => /Successfully started/.test(message), "the SDK's own word that it started");
    await client.polling();
    assert.ok(client.sandbox.outside.every((where) => /^http:\/\/ps\d+\.pubnub\.com$/.test(where)), client.sandbox.outside.join());
    assert.deepEqual(client.sandbox.console, []);
    assert.deepEqual(client.sandbox.unhandled, []);
    client.close();
  });
}

test("what the SDK reads of the configuration: ten values, none of them twice another client's", async () => {
  const [one, other] = await Promise.all(["ada", "ada"].map((stem) => startedClient(server, newName(stem))));
  const profile = ({ sinch }) => sinch.user.mxpConfig.rtcProfile;
  const network = ({ sinch }, name) => sinch.user.mxpConfig.rtcConfiguration[name];
  for (const client of [one, other]) {
    for (const name of ["broadcastNetwork", "signalNetwork"]) {
      assert.match(network(client, name).host, /^(?!ps|pubsub)[a-z][\w.-]*:\d+$/);
      for (const key of ["publishKey", "subscribeKey"]) assert.match(network(client, name)[key], /^[\w~.-]+$/);
    }
    for (const channel of ["broadcastChannel", "transportChannel", "signalChannel"]) assert.match(profile(client)[channel], /^[\w~.-]+$/);
    assert.ok([16, 32].includes(Buffer.from(profile(client).key, "base64").length));
  }
  for (const member of Object.keys(profile(one))) assert.notEqual(profile(one)[member], profile(other)[member], member);
  one.close();
  other.close();
});

test("without an active connection it starts too, and asks for no channel", async () => {
  const client = new ClassicClient(server, { config: { startActiveConnection: false, supportActiveConnection: true } });
  await client.start({ userTicket: ticketFor(server, newName()) });
  assert.ok(!client.sandbox.requests.all.some(({ path }) => path.startsWith("/subscribe/")));
  await client.sinch.startActiveConnection();
  await client.polling();
  client.close();
});

test("with an account made by the SDK: newUser, then start with what it answered", async () => {
  const client = new ClassicClient(server);
  const name = newName("grace");
  const created = await client.newUser({ username: name, password: newPassword() });
  await client.start(created);
  assert.equal(client.session.userId, name);
  client.close();
});

test("with user name and password, and with address and password; an account of our pages works as well", async () => {
  const password = newPassword();
  const name = newName("ada");
  const email = `${name}@example.org`;
  assert.equal((await server.client().signUp(name, password, { email })).status, 303);
  for (const credential of [{ username: name, password }, { email, password }]) {
    const client = new ClassicClient(server);
    await client.start(credential);
    assert.equal(client.session.userId, name);
    client.close();
  }
});

test("a wrong password, an unknown name and an unknown address are refused in one voice", async () => {
  const name = newName("ada");
  assert.equal((await server.client().signUp(name, newPassword())).status, 303);
  const messages = [];
  for (const credential of [{ username: name }, { username: newName("nobody") }, { email: "nobody@example.org" }]) {
    const client = new ClassicClient(server);
    const error = await client.refused({ ...credential, password: newPassword() });
    assertRefusedAs(error, "401\\d\\d", JSON.stringify(credential));
    messages.push(error.message);
    client.close();
  }
  assert.equal(new Set(messages).size, 1, messages.join("; "));
});

test("a name that is taken is refused to newUser", async () => {
  const client = new ClassicClient(server);
  const person = { username: newName("grace"), password: newPassword() };
  await client.newUser(person);
  const error = await client.newUser({ ...person, password: newPassword() }).catch((refusal) => refusal);
  assertRefusedAs(error, "4\\d{4}");
  client.close();
});

test("compat.sinch_accounts = false: no passwords at this door, tickets as ever", async () => {
  const closed = await startClassicServer({ settings: { "compat.sinch_accounts": "false" } });
  const client = new ClassicClient(closed);
  const error = await client.newUser({ username: newName(), password: newPassword() }).catch((refusal) => refusal);
  assertRefusedAs(error, "[45]\\d{4}");
  const other = new ClassicClient(closed);
  assertRefusedAs(await other.refused({ username: newName(), password: newPassword() }), "[45]\\d{4}");
  await startedClient(closed, newName());
  for (const each of [client, other]) each.close();
});

test("a saved session starts again without a ticket; its secret forged or its instance unknown, it does not", async () => {
  const name = newName("ada");
  const first = await startedClient(server, name);
  const saved = first.session;
  first.close();
  const again = new ClassicClient(server);
  await again.start({ ...saved });
  assert.equal(again.session.sessionId, saved.sessionId);
  assert.equal(again.session.userId, name);
  await again.polling();
  again.close();
  const secret = Buffer.from(saved.sessionSecret, "base64");
  secret[0] ^= 1;
  for (const forged of [{ sessionSecret: secret.toString("base64") }, { sessionId: "no-such-instance" }, { sessionId: "../../x" }]) {
    const thief = new ClassicClient(server);
    assertRefusedAs(await thief.refused({ ...saved, ...forged }), "401\\d\\d", JSON.stringify(Object.keys(forged)));
    assert.ok(!thief.sandbox.requests.all.some(({ path }) => /\/instance$/.test(path)), "it does not try `undefined` as a ticket");
    thief.close();
  }
});

test("stale, early, forged, foreign and broken tickets are each refused, and start() settles", async () => {
  const name = newName("eve");
  const hours = (n) => new Date(Date.now() + n * 3600_000);
  const good = mint({ ...application, username: name });
  const [data, signature] = good.split(":");
  const bent = Buffer.from(signature, "base64");
  bent[7] ^= 4;
  const tickets = {
    stale: mint({ ...application, username: name, created: hours(-3) }),
    early: mint({ ...application, username: name, created: hours(1) }),
    "forged signature": `${data}:${bent.toString("base64")}`,
    "trimmed digest": `${data}:${Buffer.from(signature, "base64").subarray(1).toString("base64")}`,
    "another application's": mint({ key: "5c7e5b5e-0000-4000-8000-000000000000", secret: application.secret, username: name }),
    "another secret's": mint({ key: application.key, secret: Buffer.alloc(16, 7).toString("base64"), username: name }),
    "another person in the data": `${Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(data, "base64")), identity: { type: "username", endpoint: "root" } })).toString("base64")}:${signature}`,
  };
  for (const [what, userTicket] of Object.entries(tickets)) {
    const client = new ClassicClient(server);
    assertRefusedAs(await client.refused({ userTicket }), "401\\d\\d", what);
    assert.ok(!client.sandbox.requests.all.some(({ path }) => /configuration/.test(path)), what);
    client.close();
  }
});

test("after a refusal the same client starts with a better ticket", async () => {
  const client = new ClassicClient(server);
  const name = newName("ada");
  await client.refused({ userTicket: mint({ ...application, username: name, created: new Date(Date.now() - 3 * 86400_000) }) });
  await client.start({ userTicket: ticketFor(server, name) });
  client.close();
});

test("names beyond ASCII start, if their ticket escapes them", async () => {
  const name = `zoë-漢字-😀-${newName()}`;
  const payload = JSON.stringify({ identity: { type: "username", endpoint: name }, expiresIn: 3600, applicationKey: application.key, created: new Date().toISOString() })
    .replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const client = new ClassicClient(server);
  await client.start({ userTicket: `${Buffer.from(payload).toString("base64")}:${sign(payload, application.secret)}` });
  assert.equal(client.session.userId, name);
  client.close();
});

test("renew: the next start in the same browser keeps the instance, and both tabs go on", async () => {
  const name = newName("ada");
  const browser = new ClassicBrowser(server);
  const first = browser.tab();
  await first.start({ userTicket: ticketFor(server, name) });
  const second = browser.tab();
  await second.start({ userTicket: ticketFor(server, name) });
  await second.answered("PUT", /\/instances\/id\/[^/]+\/authorization$/);
  assert.equal(second.session.sessionId, first.session.sessionId);
  const friend = await startedClient(server, newName("bob"));
  await friend.send(name, "to both tabs");
  await Promise.all([first.message("to both tabs"), second.message("to both tabs")]);
  await first.send(friend.session.userId, "the first tab's requests are still signed well");
  await friend.message("the first tab's requests are still signed well");
  for (const each of [first, second, friend]) each.close();
});

test("renew: an instance that is over, or somebody else's, is forgotten, and a new one is made", async () => {
  const name = newName("ada");
  const browser = new ClassicBrowser(server);
  const first = browser.tab();
  await first.start({ userTicket: ticketFor(server, name) });
  const { sessionId } = first.session;
  const [key] = Object.keys(browser.storage).filter((each) => each.startsWith("SinchSDK-"));
  first.close();
  const stranger = await startedClient(server, newName("eve"));
  browser.storage[key] = stranger.session.sessionId;
  const second = browser.tab();
  await second.start({ userTicket: ticketFor(server, name) });
  const refused = await second.answered("PUT", /authorization$/);
  assert.equal(JSON.parse(refused.body).errorCode, 40400);
  assert.notEqual(second.session.sessionId, stranger.session.sessionId);
  assert.notEqual(second.session.sessionId, sessionId);
  assert.equal(browser.storage[key], second.session.sessionId);
  for (const each of [stranger, second]) each.close();
});

test("terminate leaves the channels and reports; the same client cannot start again, another can", async () => {
  const name = newName("ada");
  const browser = new ClassicBrowser(server);
  const client = browser.tab();
  await client.start({ userTicket: ticketFor(server, name) });
  await client.polling();
  await client.send((await startedClient(server, newName("bob"))).session.userId, "so that there is something to report");
  client.terminate();
  const left = await client.answered("GET", /^\/v2\/presence\/sub_key\/[^/]+\/channel\/[^/]+\/leave/);
  assert.equal(left.status, 200);
  assert.equal(JSON.parse(left.body).action, "leave");
  const report = await client.answered("POST", /\/report\/im$/);
  assert.ok(report.status >= 200 && report.status < 300, report.body);
  assert.match(report.headers.Authorization, /^application /, "the session is cleared before");
  await assert.rejects(client.start({ userTicket: ticketFor(server, name) }), /already started/);
  const next = browser.tab();
  await next.start({ userTicket: ticketFor(server, name) });
  for (const each of [client, next]) each.close();
});

test("a clock that is an hour wrong is corrected, as the SDK does it", async () => {
  for (const offset of [-3600_000, 3600_000]) {
    const client = new ClassicClient(server, { clockOffset: offset });
    await client.start({ userTicket: ticketFor(server, newName()) });
    client.close();
  }
});

test("somebody who is signed out by the operator is told by failing requests, and is slowed", async () => {
  const password = newPassword();
  const name = newName("ada");
  await server.client().signUp(name, password);
  const client = new ClassicClient(server);
  await client.start({ username: name, password });
  await client.polling();
  assert.equal((await server.command(["user", "sign-out", name])).code, 0);
  const told = await client.sandbox.answers.first(({ path, body }) => path.startsWith("/subscribe/") && /"error":/.test(body ?? ""), "a poll that is refused");
  assert.ok(JSON.parse(told.body).error);
  const begun = client.sandbox.requests.all.length;
  const next = await client.sandbox.answers.first(({ path, body, at }) => path.startsWith("/subscribe/") && /"error":/.test(body ?? "") && at > told.at, "the next refusal");
  assert.ok(next.ms > 1000, `refused within ${next.ms} ms: it would spin`);
  assert.ok(client.sandbox.requests.all.length - begun < 10);
  await assert.rejects(client.send(newName("bob"), "from the dead"));
  client.close();
});
