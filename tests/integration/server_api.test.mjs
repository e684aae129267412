// The server API as a team's own backend uses it, and as somebody does who has no business there.
import assert from "node:assert/strict";
import test from "node:test";
import { Backend, pathOf } from "../support/application.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";

const server = await startServer({ settings: { "messages.unknown_users": "keep", "limits.messages_per_second": 10000 } });
const backend = new Backend(server);
const message = (from, to, text, more = {}) => ({ msg_id: messageId(), from: user(from), to: [user(to)], text, ...more });

test("a message of the backend reaches the recipient, and the sender's own devices as a carbon", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const phone = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  const sent = await backend.sent(message(ann, bob, "from the backend", { headers: { order: "7" } }));
  assert.equal(sent.dup, false);
  assert.equal(sent.seq, 1);
  const entry = await reader.message("from the backend");
  assert.deepEqual([entry.kind, entry.conv, entry.from, entry.headers], ["message", sent.conv, user(ann), { order: "7" }]);
  const carbon = await phone.message("from the backend");
  assert.deepEqual([carbon.kind, carbon.offset, carbon.stub], ["sent", sent.offset, undefined]);
  const answered = await reader.sent({ conv: sent.conv }, "and back");
  assert.equal(answered.seq, 2);
});

test("a repeat is answered as the first time; the same id with other content is a conflict", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const reader = await Device.connect(server, bob);
  const first = message(ann, bob, "once");
  const sent = await backend.sent(first);
  // The very same bytes, signature included, and the same message signed anew.
  const body = JSON.stringify(first);
  const headers = backend.headers("POST", "/v1/app/messages", { body });
  for (let i = 0; i < 2; ++i) {
    const answer = await server.client().request("POST", "/v1/app/messages", { headers, body, site: null });
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual({ ...answer.json, dup: false }, sent);
    assert.equal(answer.json.dup, true);
  }
  const conflict = await backend.post("/v1/app/messages", { ...first, text: "other" });
  assert.equal(conflict.status, 409);
  assert.equal(conflict.json.code, 210);
  await backend.sent(message(ann, bob, "last"));
  await reader.message("last");
  assert.deepEqual(reader.texts(), ["once", "last"]);
});

test("refusals have their status, their code and the users because of whom", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const reader = await Device.connect(server, bob);
  await reader.gateway.command("block", { user: user(ann) });
  const blocked = await backend.post("/v1/app/messages", message(ann, bob, "unwanted"));
  assert.equal(blocked.status, 403);
  assert.equal(blocked.headers["content-type"], "application/problem+json");
  assert.deepEqual([blocked.json.code, blocked.json.errorCode, blocked.json.users], [214, 40300, [user(bob)]]);
  const foreign = await backend.post("/v1/app/messages", { msg_id: "m", from: user(ann), conv: "c-nobody", text: "x" });
  assert.deepEqual([foreign.status, foreign.json.code], [404, 102]);
  const cases = [
    [{ from: user(ann), to: [user(bob)], text: "no msg_id" }, 400, 107],
    [{ msg_id: "m", to: [user(bob)], text: "no sender" }, 400, 107],
    [{ msg_id: "m", from: { type: "user", endpoint: "x" }, to: [user(bob)], text: "x" }, 400, 107],
    [{ msg_id: "m", from: user(ann), to: [user(bob)], conv: "c-x", text: "both" }, 400, 107],
    [{ msg_id: "m", from: user(ann), to: [user(bob)], text: "x".repeat(33000) }, 413, 211],
    [{ msg_id: "m", from: user(ann), to: Array.from({ length: 11 }, (_, i) => user(`u${i}`)), text: "x" }, 403, 106],
    [{ from: user(ann), to: [user(bob)], msg_id: "m", text: "x", headers: { a: "b\u0001" } }, 400, 107],
    [{ from: user(ann), to: [user(bob)], msg_id: "m", text: "x", headers: { a: "b\r\nc: d" } }, 400, 107],
    [{ from: user(ann), to: [user(bob)], msg_id: "m", text: "x", headers: { a: "b\u0085" } }, 400, 107],
    [{ from: user(ann), to: [user(bob)], msg_id: "m", text: "x", headers: { "a\u0000": "b" } }, 400, 107],
    [{ from: user(ann), to: [user(bob)], msg_id: "m", text: "x", headers: { "": "b" } }, 400, 107],
    [[], 400, 107],
  ];
  for (const [json, status, code] of cases) {
    const answer = await backend.post("/v1/app/messages", json);
    assert.deepEqual([answer.status, answer.json.code], [status, code], JSON.stringify(json).slice(0, 100));
  }
  const huge = await backend.post("/v1/app/messages", message(ann, bob, "x".repeat(70_000)));
  assert.equal(huge.status, 413);
  await backend.sent(message(newName("cyd"), bob, "after all that"));
  await reader.message("after all that");
  assert.deepEqual(reader.texts(), ["after all that"]);
});

test("a body cannot reach out of its command", async () => {
  const body = '{"msg_id":"m1","from":{"type":"username","endpoint":"a"},"to":[],"text":"x"},"terminate":{}';
  const answer = await server.client().request("POST", "/v1/app/messages", {
    headers: backend.headers("POST", "/v1/app/messages", { body }),
    body,
    site: null,
  });
  assert.equal(answer.status, 400);
});

test("wrong signatures, stale timestamps and strangers are told apart by errorCode alone", async () => {
  const target = `${pathOf(user("ann"))}/inbox`;
  const refused = async (answer, errorCode) => {
    assert.equal(answer.status, 401, answer.body);
    assert.equal(answer.headers["www-authenticate"], 'Application realm="server-api"');
    assert.equal(answer.json.errorCode, errorCode, answer.body);
    assert.equal(answer.setCookies.length, 0);
  };
  const at = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
  await refused(await server.client().get(target), 40100);
  await refused(await server.client().get(target, { headers: { authorization: `application ${backend.key}` } }), 40100);
  await refused(await new Backend(server, { key: "unknown" }).get(target), 40100);
  await refused(await backend.get(target, { headers: { "x-timestamp": "yesterday" } }), 40101);
  await refused(await backend.get(target, { timestamp: at(-301) }), 40101);
  await refused(await backend.get(target, { timestamp: at(302) }), 40101);
  const other = new Backend(server, { secret: Buffer.alloc(32, 7).toString("base64") });
  await refused(await other.get(target), 40102);
  await refused(await backend.get(target, { signed: { method: "POST" } }), 40102);
  await refused(await backend.get(`${target}?limit=1`, { signed: { target } }), 40102);
  await refused(await backend.post("/v1/app/messages", {}, { signed: { body: "{ }" } }), 40102);
  assert.equal((await backend.get(target, { timestamp: at(-290) })).status, 200);
});

test("a path is signed as it is sent and decoded once", async () => {
  const odd = newName("a/b ?%2F#ü");
  const plain = odd.replaceAll("%2F", "/");
  await backend.sent(message(odd, newName("bob"), "mine"));
  const mine = await backend.get(`${pathOf(user(odd))}/conversations`);
  assert.equal(mine.json.conversations.length, 1);
  const others = await backend.get(`${pathOf(user(plain))}/conversations`);
  assert.equal(others.json.conversations.length, 0, "a%252F is not decoded twice");
  // The signature of one spelling is not good for another.
  const spelled = `${pathOf(user(odd))}/conversations`;
  const answer = await backend.get(spelled.replaceAll("%2F", "%2f"), { signed: { target: spelled } });
  assert.equal(answer.json.errorCode, 40102);
  for (const broken of ["username/%", "username/%zz", "username/%00", "username/%FF", "nobody/x", "email/x", "username/.."]) {
    const { status } = await backend.get(`/v1/app/users/${broken}/inbox`);
    assert.equal(status, broken.endsWith("..") ? 200 : 400, broken);
  }
  assert.equal((await backend.get("/v1/app/users/username/a/b/inbox")).status, 404);
  assert.equal((await backend.get(`${pathOf(user("x"))}/inbox?other=1`)).status, 400);
});

test("cookies mean nothing here, and none are set", async () => {
  const { client, name } = await newPerson(server);
  const answer = await client.get(`${pathOf(user(name))}/inbox`);
  assert.equal(answer.status, 401);
  const signed = await client.get(`${pathOf(user(name))}/inbox`, { headers: backend.headers("GET", `${pathOf(user(name))}/inbox`) });
  assert.equal(signed.status, 200);
  assert.equal(signed.setCookies.length, 0);
});

test("another application reaches nobody of ours", async () => {
  const made = await server.command(["app", "create", "Other", "--json"]);
  const { applicationKey: key, secret } = JSON.parse(made.stdout);
  const stranger = new Backend(server, { key, secret });
  const [ann, bob] = [newName("ann"), newName("bob")];
  const reader = await Device.connect(server, bob);
  const sent = await backend.sent(message(ann, bob, "ours"));
  await reader.message("ours");
  const path = `${pathOf(user(bob))}/conversations`;
  const list = await eventually(() => stranger.get(path), ({ status }) => status === 200, "the new application");
  assert.equal(list.json.conversations.length, 0);
  assert.equal((await stranger.get(`${path}/${sent.conv}/history`)).status, 404);
  assert.deepEqual((await stranger.get(`${pathOf(user(bob))}/instances`)).json.instances, []);
  const id = reader.gateway.hello.instance;
  assert.equal((await stranger.request("DELETE", `${pathOf(user(bob))}/instances/${id}`)).status, 404);
  assert.equal((await stranger.post(`${pathOf(user(bob))}/sign-out`)).status, 200);
  await backend.sent(message(ann, bob, "still here"));
  await reader.message("still here");
});

test("conversations, history, inbox and presence say what the gateway says", async () => {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sent = [];
  for (let i = 1; i <= 5; ++i) sent.push(await backend.sent(message(ann, bob, `n${i}`)));
  const path = pathOf(user(bob));
  const { conversations } = (await backend.get(`${path}/conversations`)).json;
  assert.deepEqual([conversations.length, conversations[0].conv, conversations[0].unread], [1, sent[0].conv, 5]);
  const page = (await backend.get(`${path}/conversations/${sent[0].conv}/history?before=5&limit=2`)).json;
  assert.deepEqual(page.messages.map(({ text }) => text), ["n4", "n3"]);
  assert.equal(page.more, true);
  const inbox = (await backend.get(`${path}/inbox`)).json;
  assert.deepEqual([inbox.floor, inbox.top, inbox.entries, inbox.unread, inbox.more], [0, 5, 5, 5, false]);
  assert.equal((await backend.get(`${path}/presence`)).json.state, "offline");
  const device = await Device.connect(server, bob);
  await eventually(() => backend.get(`${path}/presence`), ({ json }) => json.state === "online" && json.devices === 1, "bob online");
  await device.drop();
});

test("instances are listed and ended one by one, by device, or all with the sign-out", async () => {
  const bob = newName("bob");
  const path = pathOf(user(bob));
  const devices = [];
  for (const device of ["one", "two", "three"]) devices.push(await Device.connect(server, bob, { device }));
  const { instances } = (await backend.get(`${path}/instances`)).json;
  assert.deepEqual(instances.map(({ device }) => device).sort(), ["one", "three", "two"]);
  const one = instances.find(({ device }) => device === "one");
  assert.equal((await backend.request("DELETE", `${path}/instances/${one.id}`)).json.ended, 1);
  assert.equal((await devices[0].gateway.closed).code, 4503);
  assert.equal((await backend.request("DELETE", `${path}/instances/${one.id}`)).status, 404);
  const two = await backend.post("/v1/app/instances/revoke-device", { user: user(bob), device: "two" });
  assert.equal(two.json.ended, 1);
  assert.equal((await devices[1].gateway.closed).code, 4503);
  assert.equal((await backend.post(`${path}/sign-out`)).status, 200);
  assert.equal((await devices[2].gateway.closed).code, 4503);
  assert.deepEqual((await backend.get(`${path}/instances`)).json.instances, []);
});

test("signing out a person with an account ends their sessions", async () => {
  const { client, name } = await newPerson(server);
  assert.equal((await client.post("/v1/tickets", { json: {} })).status, 200);
  const answer = await backend.post(`${pathOf(user(name))}/sign-out`);
  assert.deepEqual(answer.json, { sessions: 1 });
  await eventually(() => client.post("/v1/tickets", { json: {} }), ({ status }) => status === 401, "the end of the session");
});

test("a signed act is good once", async () => {
  const target = `${pathOf(user(newName()))}/sign-out`;
  const headers = backend.headers("POST", target);
  const send = () => server.client().request("POST", target, { headers, site: null });
  assert.equal((await send()).status, 200);
  const again = await send();
  assert.equal(again.status, 401);
  assert.equal(again.json.errorCode, 40102);
});

test("an application that asks too much is told to wait, and others are not", async () => {
  const tight = await startServer({ settings: { "limits.server_api_per_second": 1 } });
  const hasty = new Backend(tight);
  const answers = [];
  for (let i = 0; i < 12; ++i) answers.push(await hasty.get(`${pathOf(user("x"))}/inbox`));
  const late = answers.filter(({ status }) => status === 429);
  assert.ok(late.length > 0 && answers[0].status === 200);
  assert.ok(Number(late[0].headers["retry-after"]) >= 1);
  assert.equal(late[0].json.code, 111);
});
