// Clients of the gateway that are broken, silent, deaf or too many: a documented code for each.
import assert from "node:assert/strict";
import test from "node:test";
import { newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { mint } from "../support/tickets.mjs";
import { assertProblem, limits, startVictim } from "../support/victim.mjs";
import { eventually } from "../support/waiting.mjs";
import { Gateway, WebSocketClient, opcodes } from "../support/websocket.mjs";

const { server, newPlace, ticketFor, assertAlive } = await startVictim();

// Takes its time: begun here, looked at further down.
const silentClient = (async () => {
  const pinging = await startServer({ settings: { "gateway.ping_seconds": 5 } });
  const ticket = mint({ key: pinging.applicationKey, secret: pinging.applicationSecret, username: "sleeper" });
  const gateway = await Gateway.connect(pinging, ticket);
  gateway.socket.answersPings = false;
  return gateway;
})();

test("gateway: another subprotocol, or none, is told 426", async () => {
  for (const protocol of [null, "chat"]) {
    const error = await WebSocketClient.open(server, { protocol, localAddress: newPlace() }).then(
      () => assert.fail("upgraded"),
      (refused) => refused,
    );
    assert.equal(error.status, 426);
    assert.equal(JSON.parse(error.body).code, 639);
  }
});

test("gateway: a foreign origin is closed with 4507; ours, and none, are welcome", async () => {
  for (const origin of ["https://evil.example", "null"]) {
    const socket = await WebSocketClient.open(server, { origin, localAddress: newPlace() });
    assert.equal((await socket.closed).code, 4507);
  }
  for (const origin of [server.origin, undefined]) {
    const gateway = await Gateway.connect(server, ticketFor("visitor"), { origin, localAddress: newPlace() });
    await gateway.close();
  }
});

const frames = {
  "text that is not JSON": [(socket) => socket.send("hello"), 4502],
  "JSON that is no object": [(socket) => socket.send("[1]"), 4502],
  "an object without id": [(socket) => socket.send('{"ping":{}}'), 4502],
  "an id of the wrong kind": [(socket) => socket.send('{"id":"1","ping":{}}'), 4502],
  "an id beyond 32 bits": [(socket) => socket.send('{"id":4294967296,"ping":{}}'), 4502],
  "the id twice": [(socket) => socket.send('{"id":1,"id":2,"ping":{}}'), 4502],
  "JSON nested too deep": [(socket) => socket.send(`{"id":1,"x":${"[".repeat(100)}${"]".repeat(100)}}`), 4502],
  "a binary frame": [(socket) => socket.sendFrame(opcodes.binary, '{"id":1,"ping":{}}'), 4502],
  "text that is not UTF-8": [(socket) => socket.sendFrame(opcodes.text, Buffer.from([0x7b, 0xff, 0x7d])), 4502],
  "a frame that is not masked": [(socket) => socket.sendFrame(opcodes.text, "{}", { masked: false }), 4502],
  "a reserved bit": [(socket) => socket.sendFrame(opcodes.text, "{}", { reserved: 4 }), 4502],
  "an unknown opcode": [(socket) => socket.sendFrame(3, "{}"), 4502],
  "a long control frame": [(socket) => socket.sendFrame(opcodes.ping, "a".repeat(126)), 4502],
  "a continuation of nothing": [(socket) => socket.sendFrame(opcodes.continuation, "{}"), 4502],
  "a frame over the limit": [(socket) => socket.send(" ".repeat(64 * 1024 + 1)), 4502],
  "a message of parts over the limit": [
    (socket) => {
      socket.sendFrame(opcodes.text, " ".repeat(40_000), { fin: false });
      socket.sendFrame(opcodes.continuation, " ".repeat(40_000));
    },
    4502,
  ],
};

for (const [what, [send, code]] of Object.entries(frames)) {
  test(`gateway: ${what} closes with ${code}`, async () => {
    const socket = await WebSocketClient.open(server, { localAddress: newPlace() });
    send(socket);
    assert.equal((await socket.closed).code, code);
    await assertAlive();
  });
}

test("gateway: a length that promises 2^62 bytes closes at once", async () => {
  const before = server.memory();
  const socket = await WebSocketClient.open(server, { localAddress: newPlace() });
  socket.sendRaw(Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
  assert.equal((await socket.closed).code, 4502);
  assert.ok(server.memory() - before < 4096);
});

test("gateway: a command before connect is 105, and connect still works", async () => {
  const gateway = await Gateway.open(server, { localAddress: newPlace() });
  for (const verb of ["ping", "refresh", "terminate"]) {
    const body = verb === "refresh" ? { userTicket: ticketFor("early") } : {};
    assert.equal((await gateway.command(verb, body)).error.code, 105, verb);
  }
  assert.ok((await gateway.command("connect", { userTicket: ticketFor("early") })).connect);
  assert.equal((await gateway.command("connect", { userTicket: ticketFor("early") })).error.code, 105, "twice");
  await gateway.close();
});

test("gateway: unknown verbs are 104 and malformed bodies 107, and the connection stays", async () => {
  const gateway = await Gateway.connect(server, ticketFor("tinkerer"), { localAddress: newPlace() });
  assert.equal((await gateway.command("frobnicate")).error.code, 104);
  assert.equal((await gateway.command("send", { text: "without an id" })).error.code, 107);
  assert.equal((await gateway.command("refresh", {})).error.code, 107);
  assert.equal((await gateway.command("refresh", { userTicket: 7 })).error.code, 107);
  assert.equal((await gateway.command("ping", { note: "\u0000" })).error.code, 107);
  gateway.socket.send('{"id":90,"ping":{"note":"\\ud800"}}');
  const lone = await gateway.objects.first((object) => object.id === 90, "the reply to a lone surrogate");
  assert.equal(lone.error.code, 107);
  gateway.socket.send('{"id":91,"ping":{},"later":true}\n{"id":92,"ping":{"unknown":1}}');
  for (const id of [91, 92]) {
    assert.deepEqual((await gateway.objects.first((object) => object.id === id, `reply ${id}`)).ping, {});
  }
  await gateway.close();
});

test("gateway: an id that does not grow closes with 4502", async () => {
  const socket = await WebSocketClient.open(server, { localAddress: newPlace() });
  socket.send('{"id":5,"ping":{}}\n{"id":5,"ping":{}}');
  assert.equal((await socket.closed).code, 4502);
});

test("gateway: malformed connects are 107", async () => {
  const bodies = [
    {},
    { userTicket: "" },
    { instance: "only" },
    { userTicket: "x", instance: "y", secret: "z" },
    { userTicket: "x", device: "d".repeat(65) },
    { userTicket: "x", device: "with blank" },
    { userTicket: "x".repeat(17 * 1024) },
  ];
  for (const body of bodies) {
    const gateway = await Gateway.open(server, { localAddress: newPlace() });
    assert.equal((await gateway.command("connect", body)).error.code, 107, JSON.stringify(body).slice(0, 60));
    gateway.socket.drop();
  }
});

test("gateway: who sends no connect is closed with 4501 within its five seconds", async () => {
  const socket = await WebSocketClient.open(server, { localAddress: newPlace() });
  const began = performance.now();
  assert.equal((await socket.closed).code, 4501);
  const took = performance.now() - began;
  assert.ok(took > 4000 && took < 8000, `${took} ms`);
});

test("gateway: a flood of commands is slowed with 111, then closed with 4113", async () => {
  const gateway = await Gateway.connect(server, ticketFor("flooder"), { localAddress: newPlace() });
  const flood = Array.from({ length: 1000 }, (_, i) => `{"id":${i + 100},"ping":{}}`).join("\n");
  gateway.socket.send(flood);
  assert.equal((await gateway.closed).code, 4113);
  const refused = gateway.objects.all.filter((object) => object.error?.code === 111);
  assert.ok(refused.length > 0);
  assert.ok(refused.every((object) => object.error.temporary && object.error.retry_after_ms > 0));
});

test("gateway: who asks on and on and never reads is closed with 4108, and memory stays", async () => {
  const quick = await startServer({ settings: { "limits.max_queued_bytes": 4096, "limits.commands_per_second": 100000 } });
  const ticket = mint({ key: quick.applicationKey, secret: quick.applicationSecret, username: "deaf" });
  const gateway = await Gateway.connect(quick, ticket);
  const before = quick.memory();
  gateway.socket.socket.pause();
  let id = 10;
  const flood = () => Array.from({ length: 1500 }, () => `{"id":${++id},"frobnicate":{}}`).join("\n");
  const dropped = async () => {
    gateway.socket.send(flood());
    return quick.metric("countersign_net_slow_readers_total");
  };
  await eventually(dropped, (count) => count === 1, "the server to drop who never reads");
  assert.equal((await quick.client().get("/healthz")).status, 200);
  assert.ok(quick.memory() - before < 16 * 1024, "replies pile up");
  // Whoever reads after all finds some replies, and last the reason.
  gateway.socket.socket.resume();
  assert.equal((await gateway.closed).code, 4108);
  const replies = gateway.objects.all.filter((object) => object.error);
  assert.ok(replies.length < id, "not all were written");
  await eventually(() => quick.metric("countersign_net_websockets"), (count) => count === 0, "the end of the connection");
});

test("gateway: a half-open connection, whose client is gone without a word, is closed with 4112", async () => {
  const gateway = await silentClient;
  assert.equal((await gateway.closed).code, 4112);
});

test("more connections from one address than allowed: a WebSocket is closed with 4504, plain HTTP is told 503", async () => {
  const place = newPlace();
  const held = [];
  for (let i = 0; i < limits.connectionsPerAddress; ++i) {
    held.push(await Gateway.connect(server, ticketFor(`guest-${i}`), { localAddress: place }));
  }
  const over = await WebSocketClient.open(server, { localAddress: place });
  over.send('{"id":1,"connect":{"userTicket":"whatever"}}');
  assert.equal((await over.closed).code, 4504);
  assert.deepEqual(over.messages.all.filter((text) => !/"bye"/.test(text)), [], "nothing but why it ends");
  const plain = await server.client({ localAddress: place }).get("/healthz");
  assertProblem(plain, 503, 637);
  assert.equal(plain.headers["retry-after"], "1");
  // Those who were there first stay, others are served, and a place that is given back is free.
  for (const gateway of [held[0], held.at(-1)]) assert.deepEqual((await gateway.command("ping")).ping, {});
  await assertAlive();
  await held.pop().close();
  const admitted = async () => (await server.client({ localAddress: place }).get("/healthz")).status;
  await eventually(admitted, (status) => status === 200, "the place that was given back");
  for (const gateway of held) gateway.socket.drop();
});

test("the gateway's own limit of one user's clients: 4504", async () => {
  const small = await startServer({ settings: { "limits.max_instances_per_user": 2 } });
  const { client } = await newPerson(small);
  const ticket = await client.ticket();
  const held = [await Gateway.connect(small, ticket), await Gateway.connect(small, ticket)];
  const third = await Gateway.open(small);
  const reply = await third.command("connect", { userTicket: ticket });
  assert.equal(reply.error.code, 106);
  assert.equal((await third.closed).code, 4504);
  assert.deepEqual((await held[0].command("ping")).ping, {});
});
