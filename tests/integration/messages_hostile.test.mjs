// What is refused to clients that are wrong or malicious, and with which code.
import assert from "node:assert/strict";
import test from "node:test";
import { Device, messageId, ticketFor, user } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { mint } from "../support/tickets.mjs";
import { Gateway } from "../support/websocket.mjs";

const server = await startServer({ settings: { "limits.messages_per_second": 10000, "limits.commands_per_second": 1000 } });

/** Two people who have talked, and somebody else. */
async function three() {
  const [ann, bob, eve] = [newName("ann"), newName("bob"), newName("eve")];
  const [a, b, e] = await Promise.all([ann, bob, eve].map((name) => Device.connect(server, name)));
  const { conv } = await a.sent(bob, "between us");
  await b.message("between us");
  return { ann, bob, eve, a, b, e, conv };
}

const code = (reply) => reply.error?.code;

test("an ack of what was not pushed is 107, of another epoch 112", async () => {
  const { b } = await three();
  assert.equal(code(await b.ack(b.position.offset + 1)), 107);
  assert.equal(code(await b.ack(2 ** 53 - 1)), 107);
  assert.equal(code(await b.ack(0, "another-epoch")), 112);
  assert.equal(code(await b.gateway.command("ack", { epoch: b.position.epoch, offset: -1 })), 107);
});

test("a position from the future, or from another store, is not recovered", async () => {
  const { bob, b } = await three();
  const stands = { ...b.position };
  await b.ack();
  await b.drop();
  const future = await Device.connect(server, bob, { resume: { ...stands, offset: stands.offset + 1000 } });
  assert.equal(future.inbox.recovered, false);
  assert.equal(future.inbox.reason, "epoch");
  assert.equal(future.inbox.from, stands.offset);
  await future.drop();
  const forged = await Device.connect(server, bob, { resume: { ...stands, chain: "0123456789abcdef" } });
  assert.equal(forged.inbox.recovered, false);
  await forged.drop();
  const foreign = await Device.connect(server, bob, { resume: { ...stands, epoch: "another" } });
  assert.equal(foreign.inbox.reason, "epoch");
});

test("a stranger to a conversation can neither read nor write nor touch it", async () => {
  const { e, conv } = await three();
  for (const [verb, body] of [
    ["history", { conv }],
    ["conversation", { conv }],
    ["members", { conv }],
    ["read", { conv, seq: 1 }],
    ["typing", { conv, state: "start" }],
    ["send", { msg_id: messageId(), conv, text: "let me in" }],
  ]) {
    assert.equal(code(await e.gateway.command(verb, body)), 103, verb);
  }
  assert.equal(code(await e.gateway.command("history", { conv: "c-unknown" })), 103, "whether it exists is nobody's business");
});

test("nobody can send in somebody else's name", async () => {
  const { ann, bob, b, e } = await three();
  const text = newName("forged");
  await e.sent(bob, text, { from: user(ann), sender: user(ann) });
  assert.deepEqual((await b.message(text)).from, e.gateway.hello.user);
});

test("somebody nobody has heard of is 102; who has an account is not", async () => {
  const { a } = await three();
  const nobody = newName("nobody");
  const person = await newPerson(server);
  const refused = await a.send({ to: [user(nobody), user(person.name)] }, "hello");
  assert.equal(code(refused), 102);
  assert.deepEqual(refused.error.users, [user(nobody)]);
  const sent = await a.sent(person.name, "welcome");
  const device = await Device.connect(server, person.name);
  assert.equal((await device.message("welcome")).seq, sent.seq);
});

test("what is too large or malformed is refused with its code", async () => {
  const { bob, a } = await three();
  const to = { to: [user(bob)] };
  const send = (body) => a.gateway.command("send", { msg_id: messageId(), ...to, ...body });
  assert.equal(code(await send({ text: "x".repeat(32 * 1024 + 1) })), 211);
  assert.ok((await send({ text: "x".repeat(32 * 1024) })).send);
  assert.equal(code(await send({ text: "a\u0000b" })), 107);
  assert.equal(code(await send({ text: "x", headers: { a: "b\u0001" } })), 107);
  assert.equal(code(await send({ text: "x", headers: { "a\n": "b" } })), 107);
  assert.equal(code(await send({ text: "x", expires_in: 0 })), 107);
  assert.equal(code(await send({ text: 7 })), 107);
  const eleven = Array.from({ length: 11 }, () => user(newName("many")));
  assert.equal(code(await send({ to: eleven, text: "x" })), 106);
  const users = Array.from({ length: 1001 }, (_, i) => user(`u${i}`));
  assert.equal(code(await a.gateway.command("group", { msg_id: messageId(), action: "create", name: "x", users })), 106);
});

test("a frame beyond 64 kB, a hundred thousand recipients among them, ends the connection with 4502", async () => {
  const { a, b } = await three();
  const users = Array.from({ length: 100_000 }, (_, i) => user(`u${i}`));
  a.gateway.socket.send(JSON.stringify({ id: 1_000, send: { msg_id: "m", to: users, text: "x" } }));
  assert.equal((await a.gateway.closed).code, 4502);
  assert.ok((await b.gateway.command("ping")).ping, "others are not affected");
});

test("commands about messages need an inbox", async () => {
  const gateway = await Gateway.connect(server, ticketFor(server, newName("plain")));
  const reply = await gateway.command("send", { msg_id: "m", to: [user("x")], text: "x" });
  assert.equal(code(reply), 108);
  assert.equal(gateway.hello.inbox, undefined);
});

test("a flood of messages is 111 with the time to wait, and nobody else notices", async () => {
  const strict = await startServer({
    settings: { "limits.messages_per_second": 2, "limits.commands_per_second": 10000, "messages.unknown_users": "keep" },
  });
  const [ann, bob, eve] = [`${newName("ann")}@example.org`, newName("bob"), newName("eve")];
  const a = await Device.connect(strict, ann);
  const second = await Device.connect(strict, ann, { device: "second" });
  const e = await Device.connect(strict, eve);
  const replies = await Promise.all(Array.from({ length: 40 }, () => a.send(bob, "x")));
  const refused = replies.filter((reply) => reply.error);
  assert.ok(replies.length - refused.length >= 10, "what fits is accepted");
  assert.ok(refused.length > 0);
  for (const { error } of refused) {
    assert.equal(error.code, 111);
    assert.equal(error.temporary, true);
    assert.ok(error.retry_after_ms > 0);
  }
  assert.equal(code(await second.send(bob, "x")), 111, "on every connection of the user");
  await e.sent(bob, "quiet");
  // The user with this e-mail address is somebody else than the user of this name.
  const { applicationKey: key, applicationSecret: secret } = strict;
  const ticket = mint({ key, secret, identity: { type: "email", endpoint: ann } });
  const namesake = await Device.connect(strict, ann, { ticket });
  assert.equal(code(await namesake.send(bob, "y")), undefined);
});

test("who signed out hears nothing more and sends nothing more", async () => {
  const { bob, a, b } = await three();
  const text = newName("afterwards");
  const person = await newPerson(server);
  const ticket = await person.client.ticket();
  const device = await Device.connect(server, person.name, { ticket });
  await person.client.signOut();
  const sending = device.send(bob, text);
  const outcome = await Promise.race([sending.then(code, () => 101), device.gateway.closed.then(() => 101)]);
  assert.equal(outcome, 101);
  assert.equal((await device.gateway.closed).code, 4503);
  await a.sent(bob, "last");
  await b.message("last");
  assert.ok(!b.texts().includes(text));
});
