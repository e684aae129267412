// Callbacks to a backend that answers, refuses, hangs, redirects, dies; and to one that is inside.
import assert from "node:assert/strict";
import test from "node:test";
import { Backend, Receiver, assertSigned } from "../support/application.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";

const messages = { "messages.unknown_users": "keep", "limits.messages_per_second": 10000 };
const texts = (receiver) => receiver.taken.all.filter(({ event }) => event === "message.sent").map(({ message }) => message.text);

async function started(more = {}) {
  const receiver = await Receiver.start();
  const server = await startServer({ settings: { ...messages, ...receiver.settings, ...more } });
  return { receiver, server, backend: new Backend(server) };
}
const message = (from, to, text) => ({ msg_id: messageId(), from: user(from), to: [user(to)], text });
const deadLetters = async (server) => JSON.parse((await server.command(["callbacks", "list", "--json"])).stdout);

test("messages, receipts and instances are told, signed, in the words of the guide", async () => {
  const { receiver, server } = await started();
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const start = await receiver.event("instance.started", { instance: sender.gateway.hello.instance });
  assert.deepEqual([start.user, start.application], [user(ann), server.applicationKey]);
  const reader = await Device.connect(server, bob);
  const sent = await sender.sent(bob, "hello \u2028 \"you\"", { headers: { a: "1" } });
  const told = await receiver.event("message.sent", { seq: sent.seq });
  assert.deepEqual(told.user, user(ann));
  assert.equal(told.time, sent.time);
  assert.deepEqual(told.message, {
    conv: sent.conv, seq: 1, msg_id: sent.msg_id, to: [user(bob)], text: "hello \u2028 \"you\"", headers: { a: "1" },
  });
  await reader.message("hello \u2028 \"you\"");
  const delivered = await receiver.event("message.delivered", { conv: sent.conv });
  assert.deepEqual([delivered.user, delivered.message], [user(bob), { conv: sent.conv, seq: 1 }]);
  await sender.gateway.command("terminate", {});
  await receiver.event("instance.ended", { instance: sender.gateway.hello.instance });
  for (const request of receiver.requests.all) {
    assert.equal(request.target, "/hook?from=countersign");
    assert.equal(request.headers["content-type"], "application/json");
    assertSigned(request, { key: server.applicationKey, secret: server.applicationSecret });
  }
  const ids = receiver.requests.all.map(({ json }) => json.id);
  assert.equal(new Set(ids).size, ids.length);
});

test("a backend that fails is asked again, later and later, and gets everything in order", async () => {
  const { receiver, backend } = await started();
  receiver.answer = 500;
  const [ann, bob] = [newName("ann"), newName("bob")];
  for (let i = 0; i < 4; ++i) await backend.sent(message(ann, bob, `n${i}`));
  await receiver.requests.first(({ json }) => json.message?.text === "n0", "the first attempt");
  await receiver.requests.first(() => receiver.requests.all.length > 1, "the second attempt");
  assert.ok(receiver.requests.all.every(({ json }) => json.message.text === "n0"), "the next ones wait their turn");
  assert.equal(new Set(receiver.requests.all.map(({ body }) => body)).size, 1, "a repeat is the same");
  const [first, second] = receiver.requests.all;
  assert.ok(second.at - first.at > 450, "not at once");
  receiver.answer = 200;
  await receiver.event("message.sent", { text: "n3" });
  assert.deepEqual(texts(receiver), ["n0", "n1", "n2", "n3"]);
});

test("Retry-After is obeyed", async () => {
  const { receiver, backend } = await started();
  receiver.answer = (request, response) => {
    if (receiver.requests.all.length > 1) return 200;
    response.writeHead(429, { "retry-after": "3" }).end();
  };
  await backend.sent(message(newName(), newName(), "later"));
  await receiver.event("message.sent", { text: "later" });
  const [first, second] = receiver.requests.all;
  assert.ok(second.at - first.at > 2_900, `${second.at - first.at} ms`);
});

test("one user's trouble does not hold up another's", async () => {
  const { receiver, backend } = await started();
  const [slow, quick, bob] = [newName("slow"), newName("quick"), newName("bob")];
  receiver.answer = ({ json }) => (json.user.endpoint === slow ? 503 : 204);
  await backend.sent(message(slow, bob, "stuck"));
  await backend.sent(message(quick, bob, "through"));
  await receiver.event("message.sent", { text: "through" });
  assert.deepEqual(texts(receiver), ["through"]);
});

test("what is refused for good is a dead letter at once, and can be looked at and replayed", async () => {
  const { receiver, server, backend } = await started();
  const [ann, bob] = [newName("ann"), newName("bob")];
  receiver.answer = ({ json }) => (json.message.text === "bad" ? 410 : 204);
  await backend.sent(message(ann, bob, "bad"));
  await backend.sent(message(ann, bob, "good"));
  await receiver.event("message.sent", { text: "good" });
  await server.logged({ event: "callback_dead", error: "410" });
  const dead = await deadLetters(server);
  assert.deepEqual(
    dead.map(({ event, user: who, attempts, error }) => ({ event, user: who, attempts, error })),
    [{ event: "message.sent", user: user(ann), attempts: 1, error: "410" }],
  );
  const shown = await server.command(["callbacks", "list"]);
  assert.match(shown.stdout, new RegExp(`^${dead[0].id}  message\\.sent  .*  username:${ann}  1 attempts  410\n$`));
  assert.equal((await server.command(["callbacks", "replay", "999999"])).code, 1);
  receiver.answer = 204;
  const replayed = await server.command(["callbacks", "replay", String(dead[0].id)]);
  assert.equal(replayed.stdout, "waiting again: 1\n");
  await receiver.event("message.sent", { text: "bad" });
  assert.deepEqual(await deadLetters(server), []);
});

test("a redirect is not followed", async () => {
  const { receiver, backend } = await started();
  const elsewhere = await Receiver.start();
  receiver.answer = (request, response) => {
    if (receiver.requests.all.length > 2) return 204;
    response.writeHead(307, { location: elsewhere.url }).end();
  };
  await backend.sent(message(newName(), newName(), "stay"));
  await receiver.event("message.sent", { text: "stay" });
  assert.equal(elsewhere.requests.all.length, 0);
});

test("a backend that hangs is left after ten seconds; the others go on meanwhile", async () => {
  const { receiver, server, backend } = await started();
  const [ann, bob] = [newName("ann"), newName("bob")];
  receiver.answer = ({ json }) => (json.user.endpoint === ann && receiver.requests.all.length < 3 ? undefined : 204);
  await backend.sent(message(ann, bob, "hangs"));
  await backend.sent(message(bob, ann, "goes"));
  await receiver.event("message.sent", { text: "goes" });
  await server.logged({ event: "callback_failed", error: "timeout" });
  await receiver.event("message.sent", { text: "hangs" });
});

test("addresses inside are not called unless their host is named", async () => {
  const receiver = await Receiver.start();
  for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254"]) {
    const settings = { ...messages, "callbacks.url": `http://${host}:${receiver.port}/` };
    const server = await startServer({ settings });
    await new Backend(server).sent(message(newName(), newName(), "inside"));
    await server.logged({ event: "callback_failed", error: "address_denied" });
  }
  assert.equal(receiver.requests.all.length, 0);
});

test("kill -9 between the commit and the callback loses nothing", async () => {
  const { receiver, server, backend } = await started();
  const [ann, bob] = [newName("ann"), newName("bob")];
  await receiver.stop();
  const sent = [];
  for (let i = 0; i < 20; ++i) {
    await backend.sent(message(ann, bob, `n${i}`));
    sent.push(`n${i}`);
    if (i % 7 === 6) {
      await server.kill();
      await server.restart();
    }
  }
  await receiver.listen();
  await receiver.event("message.sent", { text: "n19" });
  assert.deepEqual([...new Set(texts(receiver))], sent);
});

test("a backend that dies in the middle of an answer is asked again", async () => {
  const { receiver, backend } = await started();
  receiver.answer = (request, response) => {
    if (receiver.requests.all.length > 1) return 200;
    response.socket.destroy();
  };
  await backend.sent(message(newName(), newName(), "twice"));
  await receiver.event("message.sent", { text: "twice" });
  const ids = receiver.requests.all.map(({ json }) => json.id);
  assert.deepEqual([ids.length, new Set(ids).size], [2, 1]);
});

test("without callbacks.url nothing is kept, and a bad one stops the start", async () => {
  const server = await startServer({ settings: messages });
  await new Backend(server).sent(message(newName(), newName(), "untold"));
  assert.deepEqual(await deadLetters(server), []);
  for (const url of ["ftp://x/", "http://user@x/", "https://x/#y", "x"]) {
    const { code, stderr } = await server.command(["config", "check", "--set", `callbacks.url=${url}`]);
    assert.equal(code, 2, url);
    assert.match(stderr, /callbacks\.url/);
  }
});
