// The classic door's REST side over plain HTTP: who gets an instance, what a signature covers, what is
// refused, and that every answer can be read by a page of any origin and is JSON, whatever happened.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import test from "node:test";
import { assertReadable, assertRefused, contentType, opened, PlainClassic, rest, signedHeaders, startClassicVictim } from "../support/classic.mjs";
import { ticketFor } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { RawConnection } from "../support/raw.mjs";
import { startServer } from "../support/server.mjs";
import { mint } from "../support/tickets.mjs";

const server = await startClassicVictim();
const application = { key: server.applicationKey, secret: server.applicationSecret };
const asApplication = { authorization: `application ${server.applicationKey}` };
const stranger = new PlainClassic(server, "nobody");

test("the clock is told to whoever asks, with or without the slash, right or wrong", async () => {
  for (const headers of [asApplication, {}, { authorization: "nonsense" }]) {
    for (const path of ["timestamp/", "timestamp"]) {
      const answer = await stranger.plain("GET", rest + path, { headers });
      assertReadable(answer, 200);
      assert.ok(Math.abs(Date.parse(answer.json.timestamp) - Date.now()) < 60_000, answer.body);
    }
  }
});

test("preflights are answered everywhere, with the SDK's headers by name", async () => {
  const paths = ["timestamp/", "instance", "instances/id/x/authorization", "transport", "calls/data", "users/email/a%40b/authentication", "x"];
  for (const path of [...paths.map((name) => rest + name), "/sinch/verification/v1/verifications", "/sinch/x"]) {
    const answer = await stranger.http.request("OPTIONS", path, {
      headers: { "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,x-timestamp" },
      origin: "https://elsewhere.example",
    });
    assert.equal(answer.status, 204, path);
    assert.equal(answer.headers["access-control-allow-origin"], "*");
    for (const method of ["GET", "POST", "PUT", "PATCH", "OPTIONS"]) {
      assert.ok(answer.headers["access-control-allow-methods"].split(", ").includes(method), method);
    }
    for (const name of ["authorization", "content-type", "x-timestamp"]) {
      assert.ok(answer.headers["access-control-allow-headers"].split(", ").includes(name), name);
    }
    assert.ok(Number(answer.headers["access-control-max-age"]) >= 600);
  }
});

// Instances.

test("a ticket gives an instance; another ticket of the same user gives the same one again, and both go on", async () => {
  const name = newName("ada");
  const client = await PlainClassic.start(server, name);
  const { id, secret } = client.instance;
  assert.ok([16, 32].includes(Buffer.from(secret, "base64").length));
  const renewed = await client.withTicket("PUT", `${rest}instances/id/${id}/authorization`, ticketFor(server, name), { instanceId: id });
  assertReadable(renewed, 200);
  assert.equal(renewed.json.id, id);
  assertReadable(await client.request("GET", `${rest}configuration/user`), 200);
  client.instance = renewed.json;
  assertReadable(await client.request("GET", `${rest}configuration/user`), 200);
});

test("renewing what is not there, or is another user's, or is no classic instance, is 40400", async () => {
  const grace = await PlainClassic.start(server, newName("grace"));
  const name = newName("ada");
  for (const id of [grace.instance.id, "never-was", "%00", "%2", "%C3%28", "a".repeat(5_000)]) {
    const answer = await stranger.withTicket("PUT", `${rest}instances/id/${id}/authorization`, ticketFor(server, name));
    assertRefused(answer, 404, 40400);
  }
});

const hour = 3_600_000;
const badTickets = {
  "no ticket": "",
  "no base64": "%%%:%%%",
  "one half": ticketFor(server, "ada").split(":")[0],
  "another's signature": mint({ ...application, secret: crypto.randomBytes(16).toString("base64"), username: "ada" }),
  "another application": mint({ ...application, key: crypto.randomUUID(), username: "ada" }),
  "one that is over": mint({ ...application, username: "ada", created: new Date(Date.now() - 3 * hour), expiresIn: 3600 }),
  "one of tomorrow": mint({ ...application, username: "ada", created: new Date(Date.now() + 24 * hour) }),
  "10 kB": `${"a".repeat(10_000)}:${"b".repeat(44)}`,
};
for (const [what, ticket] of Object.entries(badTickets)) {
  test(`a ticket that is wrong (${what}) is 401, for both ways to an instance`, async () => {
    for (const [method, path] of [["POST", "instance"], ["PUT", "instances/id/x/authorization"]]) {
      const answer = await stranger.withTicket(method, rest + path, ticket);
      assertReadable(answer, what === "10 kB" && answer.status === 431 ? 431 : 401);
      assert.equal(Math.floor(answer.json.errorCode / 100), answer.status, answer.body);
    }
  });
}

test("an instance wants a ticket: other schemes and none are 40100", async () => {
  for (const authorization of [undefined, asApplication.authorization, "user", "instance a:b", "Basic YTpi", "user a b"]) {
    assertRefused(await stranger.plain("POST", `${rest}instance`, { authorization, json: {} }), 401, 40100);
  }
  // Upper case is as good.
  const answer = await stranger.plain("POST", `${rest}instance`, { authorization: `USER ${ticketFor(server, newName())}`, json: {} });
  assertReadable(answer, 200);
});

test("the configuration has the ten values, and all can stand in a path", async () => {
  const [one, other] = [await PlainClassic.start(server, newName("ada")), await PlainClassic.start(server, newName("ada"))];
  for (const { networks, profile } of [one, other]) {
    for (const network of [networks.broadcastNetwork, networks.signalNetwork]) {
      assert.equal(network.host, `localhost:${server.port}`);
      for (const key of [network.publishKey, network.subscribeKey]) assert.match(key, /^[\w.~-]{16,128}$/);
    }
    for (const channel of [profile.broadcastChannel, profile.transportChannel, profile.signalChannel]) assert.match(channel, /^[\w.~-]{16,128}$/);
    assert.ok([16, 32].includes(Buffer.from(profile.key, "base64").length));
  }
  for (const name of Object.keys(one.profile)) assert.notEqual(one.profile[name], other.profile[name]);
});

// Signatures.

test("a signature covers method, body, content type, time and path, and not the query", async () => {
  const client = await PlainClassic.start(server, newName("ada"));
  const path = `${rest}report/im`;
  const report = { version: "2.0", sent: 1, received: 0, failed: 0 };
  assertReadable(await client.request("POST", path, { json: report }), 200);
  assertReadable(await client.request("POST", `${path}?more=1&`, { json: report }), 200);
  const other = {
    method: { method: "PUT" },
    body: { body: "{}" },
    "content type": { contentType: "application/json" },
    time: { timestamp: new Date(Date.now() - 1_000).toISOString() },
    path: { target: `${rest}report` },
    "path with query": { target: `${path}?more=1` },
  };
  for (const [what, signed] of Object.entries(other)) {
    const answer = await client.request("POST", what === "path with query" ? `${path}?more=1` : path, { json: report, signed });
    assert.equal(answer.json.errorCode, 40102, what);
    assertReadable(answer, 401);
  }
  assertRefused(await client.request("POST", path, { json: report, headers: { authorization: `instance ${client.instance.id}:${"A".repeat(43)}=` } }), 401, 40102);
  for (const credential of ["x:y", `x:${"A".repeat(43)}=`, `${client.instance.id}:y`]) {
    assertReadable(await client.request("POST", path, { json: report, headers: { authorization: `instance ${credential}` } }), 401);
  }
});

test("the time of a signature is within minutes of ours; without one, or with two, it is refused", async () => {
  const client = await PlainClassic.start(server, newName("ada"));
  const path = `${rest}user/profile`;
  const at = (shift) => new Date(Date.now() + shift).toISOString();
  for (const shift of [-60_000, 60_000]) assertReadable(await client.request("GET", path, { timestamp: at(shift) }), 200);
  for (const shift of [-hour, hour]) assertRefused(await client.request("GET", path, { timestamp: at(shift) }), 401, 40101);
  for (const timestamp of ["", "now", "2026", `${at(0)} `.repeat(50)]) {
    assertReadable(await client.request("GET", path, { timestamp }), 401);
  }
  const { authorization } = signedHeaders(client.instance, "GET", path);
  assertReadable(await client.plain("GET", path, { headers: { authorization } }), 401);
  assertReadable(await client.request("GET", path, { headers: { "x-timestamp": [at(0), at(0)] } }), 401);
});

test("who is not signed in is told so by every signed address, not that something is missing", async () => {
  const signed = [
    ["GET", "configuration/user"], ["POST", "transport"], ["GET", "transport?transportId=x&"], ["POST", "report/im"], ["GET", "user/profile"],
  ];
  for (const [method, path] of signed) {
    for (const authorization of ["instance never-was:AAAA", `instance ${crypto.randomUUID()}:${"A".repeat(43)}=`, "user a:b"]) {
      const answer = await stranger.plain(method, rest + path, { authorization, headers: { "x-timestamp": new Date().toISOString() } });
      assertReadable(answer, 401);
      assert.equal(Math.floor(answer.json.errorCode / 100), 401);
    }
    if (path !== "report/im") assertRefused(await stranger.plain(method, rest + path, asApplication), 401, 40100);
  }
  // The last word of a client that has just forgotten its instance.
  assertReadable(await stranger.plain("POST", `${rest}report/im`, { ...asApplication, json: { sent: 1 } }), 200);
  assertRefused(await stranger.plain("POST", `${rest}report/im`, { authorization: "application x", json: {} }), 401, 40100);
});

test("the profile tells who it is", async () => {
  const client = await PlainClassic.start(server, newName("ada"));
  const answer = await client.request("GET", `${rest}user/profile`);
  assertReadable(answer, 200);
  assert.deepEqual(answer.json.identities, [{ type: "username", endpoint: client.name }]);
});

// Transports.

test("a transport has the recipients who are known, and is found again by those who are in it alone", async () => {
  const [ada, grace, eve] = await Promise.all(["ada", "grace", "eve"].map((stem) => PlainClassic.start(server, newName(stem))));
  for (const client of [ada, grace, eve]) await client.now(); // they have inboxes
  const transport = await ada.transport(grace.name, newName("unknown"));
  assert.deepEqual(transport.participants.map(({ destination }) => destination.identity), [grace.name]);
  assert.deepEqual(transport.participants[0].instances, [{ capabilities: ["im"] }]);
  assert.equal(transport.participants[0].channel, grace.profile.transportChannel);
  assert.ok([16, 32].includes(Buffer.from(transport.key, "base64").length));
  assert.match(transport.transportId, /^[\w.~-]+$/);
  const again = await grace.transport(ada.name);
  assert.deepEqual([again.transportId, again.key], [transport.transportId, transport.key]);
  const found = await grace.transportById(transport.transportId);
  assert.deepEqual(found.participants.map(({ destination }) => destination.identity).sort(), [ada.name, grace.name].sort());
  assert.equal(found.key, transport.key);
  for (const id of [transport.transportId, "nothing", "", "%00", "a".repeat(2_000)]) {
    const answer = await eve.request("GET", `${rest}transport?transportId=${id}&`);
    assert.ok([404, 400].includes(answer.status), `${id}: ${answer.status}`);
    assertReadable(answer, answer.status);
  }
  assert.deepEqual((await eve.transport(newName("unknown"))).participants, []);
});

test("an empty list is a message to oneself: the SDK leaves the sender out", async () => {
  const client = await PlainClassic.start(server, newName("ada"));
  const now = await client.now();
  const transport = await client.transport();
  assert.deepEqual(transport.participants, [], "it counts itself in");
  const session = await client.send(transport, "a note");
  const { frames } = await client.poll(now);
  assert.deepEqual([frames[0].session, JSON.parse(opened(frames, transport.key).bd)], [session, { t: "a note" }]);
});

test("bodies that are no list of recipients are 40001", async () => {
  const client = await PlainClassic.start(server, newName("ada"));
  const bodies = ["", "{}", "[1]", "[{}]", '[{"identity":""}]', '[{"identity":1}]', "[", '{"identity":"x"}', "null", '"x"', `[${"[".repeat(500)}`];
  for (const body of bodies) assertRefused(await client.request("POST", `${rest}transport`, { body }), 400, 40001);
  const many = Array.from({ length: 60 }, (_, index) => ({ identity: `user-${index}` }));
  assertReadable(await client.request("POST", `${rest}transport`, { json: many }), 403);
  // Nobody could have such names.
  const hostile = ["a".repeat(256), "\u0000", "a\nb", "🙂".repeat(100)].map((identity) => ({ identity }));
  assertReadable(await client.request("POST", `${rest}transport`, { json: hostile.slice(2, 3) }), 200);
  for (const one of hostile) {
    const answer = await client.request("POST", `${rest}transport`, { json: [one] });
    assert.ok(answer.status === 400 || answer.json.participants.length === 0, answer.body);
  }
});

// What is not offered, and what is wrong before anybody reads it.

test("calls, push and verification are refused in words, signed or not", async () => {
  const client = await PlainClassic.start(server, newName("ada"));
  for (const [method, path] of [
    ["POST", `${rest}calls/data`], ["POST", `${rest}calls/pstn`], ["PUT", `${rest}calls/connection/id/x`], ["POST", `${rest}push`],
    ["POST", `${rest}media`], ["PATCH", `${rest}user/profile`], ["PUT", `${rest}user/password`],
    ["POST", "/sinch/verification/v1/verifications"], ["PUT", "/sinch/verification/v1/verifications/number/%2B46"],
    ["GET", "/sinch/verification/v1/verifications/callout/number/%2B46"],
  ]) {
    assertRefused(await client.request(method, path, { body: method === "GET" ? "" : "{}" }), 501, 50100);
    assertRefused(await stranger.plain(method, path), 501, 50100);
  }
});

test("unknown addresses are 40400, other methods 40500, large bodies 41300: always JSON for any origin", async () => {
  for (const path of ["/sinch/", "/sinch/v1", "/sinch/v2/instance", `${rest}nothing`, `${rest}instance/`, `${rest}instances/id//authorization`, `${rest}${"x/".repeat(200)}`]) {
    const answer = await stranger.plain("GET", path);
    if (path === `${rest}instance/`) assertRefused(answer, 405, 40500);
    else assertRefused(answer, 404, 40400);
  }
  for (const [method, path, allow] of [["DELETE", "instance", "POST"], ["GET", "report/im", "POST"], ["POST", "configuration/user", "GET"]]) {
    const answer = await stranger.plain(method, rest + path);
    assertRefused(answer, 405, 40500);
    assert.ok(answer.headers.allow.split(", ").includes(allow), answer.headers.allow);
  }
  for (const path of ["instance", "transport", "nothing"]) {
    assertRefused(await stranger.plain("POST", rest + path, { body: "x".repeat(70_000) }), 413, 41300);
  }
});

test("refusals of what never became a request can be read too", async () => {
  const cases = [
    [`GET ${rest}timestamp/ HTTP/1.1\r\n\r\n`, 400],
    ["\u0001\u0002\r\n\r\n", 400],
    [`GET ${rest}timestamp/ HTTP/1.1\r\nHost: localhost\r\nX-A: ${"a".repeat(64 * 1024)}\r\n\r\n`, 431],
    [`POST ${rest}instance HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${10 << 20}\r\n\r\n`, 413],
    [`POST ${rest}instance HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`, 400],
  ];
  for (const [bytes, status] of cases) {
    const connection = await RawConnection.open(server);
    connection.write(bytes);
    const answer = await connection.answer();
    assertRefused(answer, status, status === 400 ? 40001 : status * 100);
    connection.end();
  }
});

test("a client's browser cookies neither help nor hurt, and none is set", async () => {
  const { client, name } = await newPerson(server);
  const answer = await client.request("POST", `${rest}instance`, {
    headers: { authorization: `user ${ticketFor(server, name)}`, "content-type": contentType }, json: {}, site: "cross-site", origin: "https://elsewhere.example",
  });
  assertReadable(answer, 200);
  assertReadable(await client.request("POST", `${rest}instance`, { json: {}, site: "same-origin" }), 401);
});

test("an instance ends with the sign-in session behind its ticket, and with a sign-out everywhere", async () => {
  const { client: person, name } = await newPerson(server);
  const client = await PlainClassic.start(server, name, { ticket: await person.ticket() });
  assertReadable(await client.request("GET", `${rest}user/profile`), 200);
  assert.equal((await person.signOut()).status, 303);
  let answer;
  do answer = await client.request("GET", `${rest}user/profile`);
  while (answer.status === 200);
  assertReadable(answer, 401);
  assert.equal(Math.floor(answer.json.errorCode / 100), 401, "not 40400, which would have the SDK try another ticket");
});

test("with the door shut its addresses are nobody's", async () => {
  const shut = await startServer();
  const client = shut.client();
  for (const path of [`${rest}timestamp/`, "/time/0", "/subscribe/a/b/0/0"]) assert.equal((await client.get(path)).status, 404);
});
