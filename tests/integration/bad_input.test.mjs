// Malformed, oversized, slow and hostile input: a documented code for each, at bounded cost.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { countersign, execute, root, temporaryFolder } from "../support/process.mjs";
import { RawConnection } from "../support/raw.mjs";
import { freePort, refusedStart, startServer } from "../support/server.mjs";
import { mint } from "../support/tickets.mjs";
import { within } from "../support/waiting.mjs";
import { Gateway, WebSocketClient, opcodes } from "../support/websocket.mjs";

const codes = JSON.parse(fs.readFileSync(path.join(root, "api/codes.json"), "utf8"));
const documented = new Map(codes.errors.map((row) => [row.number, row]));

const limits = { header: 1, body: 1, idle: 2 };
const server = await startServer({
  settings: {
    "limits.header_timeout_seconds": limits.header,
    "limits.body_timeout_seconds": limits.body,
    "limits.idle_timeout_seconds": limits.idle,
    "limits.max_connections_per_address": 40,
  },
});

// Takes its time: begun here, looked at further down.
const silentClient = (async () => {
  const pinging = await startServer({ settings: { "gateway.ping_seconds": 5 } });
  const ticket = mint({ key: pinging.applicationKey, secret: pinging.applicationSecret, username: "sleeper" });
  const gateway = await Gateway.connect(pinging, ticket);
  gateway.socket.answersPings = false;
  return gateway;
})();

let lastPlace = 0;
/** Each test knocks from an address of its own, so that none is counted against another. */
function newPlace() {
  ++lastPlace;
  return `127.2.${lastPlace >> 8}.${lastPlace & 255}`;
}

function ticketFor(name) {
  return mint({ key: server.applicationKey, secret: server.applicationSecret, username: name });
}

function raw(options) {
  return RawConnection.open(server, { localAddress: newPlace(), ...options });
}

/** A problem answer with a documented code. */
function assertProblem(answer, status, code) {
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  const problem = JSON.parse(answer.body);
  assert.equal(problem.code, code);
  assert.equal(problem.status, status);
  const row = documented.get(code);
  assert.equal(problem.title, row.text);
  assert.equal(problem.type, `urn:countersign:error:${row.name}`);
}

async function assertAlive() {
  assert.equal((await server.client({ localAddress: newPlace() }).get("/healthz")).status, 200);
}

// --- HTTP -----------------------------------------------------------------------------------------

const host = "Host: localhost";
const malformed = {
  "no request line at all": "\u0001\u0002\u0003\r\n\r\n",
  "TLS at a plain port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
  "no Host": "GET / HTTP/1.1\r\n\r\n",
  "two Hosts": `GET / HTTP/1.1\r\n${host}\r\nHost: other\r\n\r\n`,
  "two Content-Lengths": `POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
  "two equal Content-Lengths": `POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
  "Content-Length and Transfer-Encoding": `POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "an odd Transfer-Encoding": `POST /api/auth HTTP/1.1\r\n${host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  "a negative Content-Length": `POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Length: -1\r\n\r\n`,
  "a huge Content-Length": `POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Length: 99999999999999999999\r\n\r\n`,
  "a folded header": `GET / HTTP/1.1\r\n${host}\r\nX-A: b\r\n c\r\n\r\n`,
  "a blank before the colon": `GET / HTTP/1.1\r\n${host}\r\nX-A : b\r\n\r\n`,
  "a NUL in a header": `GET / HTTP/1.1\r\n${host}\r\nX-A: b\0c\r\n\r\n`,
  "bare line feeds": `GET / HTTP/1.1\n${host}\n\n`,
  "HTTP/2.0 spelled out": `GET / HTTP/2.0\r\n${host}\r\n\r\n`,
  "a bad chunk size": `POST /api/auth HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`,
};

for (const [what, bytes] of Object.entries(malformed)) {
  test(`HTTP: ${what} is answered 400 and the connection ends`, async () => {
    const connection = await raw();
    connection.write(bytes);
    assertProblem(await connection.answer(), 400, 636);
    await connection.closed;
    await assertAlive();
  });
}

test("HTTP: a truncated request ends when its sender ends", async () => {
  const connection = await raw();
  connection.write(`GET / HTTP/1.1\r\nHo`);
  connection.end();
  await connection.closed;
  await assertAlive();
});

test("HTTP: a duplicate header of ours is not guessed at", async () => {
  const { client } = await newPerson(server, { localAddress: newPlace() });
  const connection = await raw();
  connection.write(
    `POST /v1/tickets HTTP/1.1\r\n${host}\r\nCookie: __Host-cs_session=${client.cookie("session")}\r\n` +
      `Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n`,
  );
  assertProblem(await connection.answer(), 403, 602);
});

test("HTTP: headers without end are cut off with 431", async () => {
  const connection = await raw();
  connection.write(`GET / HTTP/1.1\r\n${host}\r\n`);
  connection.write(`X-A: ${"a".repeat(64 * 1024)}\r\n`);
  assertProblem(await connection.answer(), 431, 634);
  await connection.closed;
});

test("HTTP: a very long address is cut off with 431", async () => {
  const connection = await raw();
  connection.write(`GET /${"a".repeat(32 * 1024)} HTTP/1.1\r\n${host}\r\n\r\n`);
  assertProblem(await connection.answer(), 431, 634);
});

for (const target of ["/api/auth", "/users/sign_in", "/v1/tickets", "/nothing"]) {
  test(`HTTP: a body of 10 MB to ${target} is refused with 413 before it is read`, async () => {
    const before = server.memory();
    const connection = await raw();
    connection.write(
      `POST ${target} HTTP/1.1\r\n${host}\r\nContent-Type: application/json\r\nContent-Length: ${10 << 20}\r\n\r\n`,
    );
    connection.write(Buffer.alloc(1 << 20, "a"));
    assertProblem(await connection.answer(), 413, 633);
    connection.end();
    assert.ok(server.memory() - before < 4096, "memory grew");
  });
}

test("HTTP: chunks beyond the limit are refused with 413", async () => {
  const connection = await raw();
  connection.write(`POST /api/auth HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  for (let i = 0; i < 64; ++i) connection.write(`400\r\n${"a".repeat(1024)}\r\n`);
  assertProblem(await connection.answer(), 413, 633);
});

test("HTTP: wrong content types are refused with 415", async () => {
  const client = server.client({ localAddress: newPlace() });
  for (const type of ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/jsonp"]) {
    const answer = await client.post("/api/auth", { body: "{}", headers: { "content-type": type } });
    assertProblem(answer, 415, 632);
  }
});

test("HTTP: unknown paths and methods are 404 and 405 with Allow", async () => {
  const client = server.client({ localAddress: newPlace() });
  assertProblem(await client.get("/users/../etc/passwd"), 404, 630);
  assertProblem(await client.get("/assets/%2e%2e%2fsecret"), 404, 630);
  const answer = await client.request("PROPFIND", "/users/sign_in");
  assertProblem(answer, 405, 631);
  assert.match(answer.headers.allow, /GET, HEAD, OPTIONS, POST/);
});

test("HTTP: the gateway's address without an upgrade is 426", async () => {
  const answer = await server.client({ localAddress: newPlace() }).get("/v1/gateway");
  assertProblem(answer, 426, 639);
});

test("HTTP: slow headers are answered 408 after limits.header_timeout_seconds", async () => {
  const connection = await raw();
  const began = performance.now();
  connection.write(`GET / HTTP/1.1\r\nX-Slow: `);
  const drip = setInterval(() => connection.write("a"), 100);
  try {
    assertProblem(await connection.answer(), 408, 635);
  } finally {
    clearInterval(drip);
  }
  assert.ok(performance.now() - began < limits.header * 1000 + 2000);
  await connection.closed;
});

test("HTTP: a slow body is answered 408 after limits.body_timeout_seconds", async () => {
  const connection = await raw();
  connection.write(`POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`);
  const drip = setInterval(() => connection.write("a"), 100);
  try {
    assertProblem(await connection.answer(), 408, 635);
  } finally {
    clearInterval(drip);
  }
  await connection.closed;
});

test("HTTP: a silent and a half-open connection end after limits.idle_timeout_seconds", async () => {
  const silent = await raw();
  const halfOpen = await raw();
  halfOpen.write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
  assert.equal((await halfOpen.answer()).status, 200);
  await silent.closed;
  await halfOpen.closed;
});

test("HTTP: a client that ends its half after the request still gets its answer", async () => {
  const connection = await raw();
  connection.write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
  connection.end();
  assert.equal((await connection.answer()).status, 200);
  await connection.closed;
});

test("HTTP: Expect: 100-continue is answered before the body, and refused when the body would be", async () => {
  const connection = await raw();
  const head = `POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n`;
  connection.write(`${head}Content-Length: 2\r\n\r\n`);
  assert.equal((await connection.answer()).status, 100);
  connection.write("{}");
  assertProblem(await connection.answer(), 400, 107);
  const large = await raw();
  large.write(`${head}Content-Length: ${10 << 20}\r\n\r\n`);
  assertProblem(await large.answer(), 413, 633);
});

test("HTTP: who takes no answer is dropped, at bounded cost", async () => {
  const before = server.memory();
  const connection = await raw();
  connection.socket.pause();
  const request = `GET /sdk/countersign.js HTTP/1.1\r\n${host}\r\n\r\n`;
  for (let i = 0; i < 500; ++i) connection.write(request);
  await assertAlive();
  assert.ok(server.memory() - before < 16 * 1024, "answers pile up");
  connection.socket.destroy();
});

test("HTTP: pipelined requests are answered in order", async () => {
  const connection = await raw();
  connection.write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\nGET /nothing HTTP/1.1\r\n${host}\r\n\r\n`);
  assert.equal((await connection.answer()).status, 200);
  assert.equal((await connection.answer()).status, 404);
});

test("more connections from one address than allowed: 503 with Retry-After, and others are served", async () => {
  const place = newPlace();
  const held = [];
  for (let i = 0; i < 40; ++i) held.push(await RawConnection.open(server, { localAddress: place }));
  // The last of them has been counted when it is answered.
  held.at(-1).write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
  assert.equal((await held.at(-1).answer()).status, 200);
  const over = await RawConnection.open(server, { localAddress: place });
  over.write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
  const answer = await over.answer();
  assertProblem(answer, 503, 637);
  assert.equal(answer.headers["retry-after"], "1");
  await assertAlive();
  for (const connection of held) connection.socket.destroy();
});

test("more connections than limits.max_connections: 503", async () => {
  const small = await startServer({ settings: { "limits.max_connections": 4 } });
  const held = [];
  for (let i = 0; i < 4; ++i) {
    held.push(await RawConnection.open(small));
    held.at(-1).write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
    assert.equal((await held.at(-1).answer()).status, 200);
  }
  const over = await RawConnection.open(small);
  over.write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
  const answer = await over.answer();
  assert.equal(answer.status, 503);
  assert.equal(answer.headers["retry-after"], "1");
  for (const connection of held) connection.socket.destroy();
});

test("more gateway connections from one address than allowed: 4504", async () => {
  const place = newPlace();
  const held = [];
  for (let i = 0; i < 40; ++i) held.push(await WebSocketClient.open(server, { localAddress: place }));
  const over = await WebSocketClient.open(server, { localAddress: place });
  assert.equal((await over.closed).code, 4504);
  for (const socket of held) socket.drop();
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

// --- WebSocket ------------------------------------------------------------------------------------

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
  assert.equal((await gateway.command("send", { text: "later" })).error.code, 104);
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

test("gateway: who never reads is dropped, and memory stays", async () => {
  const quick = await startServer({ settings: { "limits.max_queued_bytes": 4096, "limits.commands_per_second": 100000 } });
  const ticket = mint({ key: quick.applicationKey, secret: quick.applicationSecret, username: "deaf" });
  const gateway = await Gateway.connect(quick, ticket);
  const before = quick.memory();
  gateway.socket.socket.pause();
  let id = 10;
  const flood = () => Array.from({ length: 1500 }, () => `{"id":${++id},"frobnicate":{}}`).join("\n");
  const ended = new Promise((resolve) => gateway.socket.socket.once("close", resolve));
  for (let i = 0; i < 200; ++i) gateway.socket.send(flood());
  assert.equal((await quick.client().get("/healthz")).status, 200);
  assert.ok(quick.memory() - before < 16 * 1024, "replies pile up");
  gateway.socket.drop();
  await within(ended, "the socket's end");
});

test("gateway: a half-open connection, whose client is gone without a word, is closed with 4112", async () => {
  const gateway = await silentClient;
  assert.equal((await gateway.closed).code, 4112);
});

// --- memory ---------------------------------------------------------------------------------------

test("hostile load leaves no memory behind", async () => {
  const round = async () => {
    const place = newPlace();
    const all = [];
    for (let i = 0; i < 30; ++i) {
      all.push(
        (async () => {
          const connection = await RawConnection.open(server, { localAddress: place });
          connection.write(`POST /api/auth HTTP/1.1\r\n${host}\r\nContent-Length: 16000\r\n\r\n${crypto.randomBytes(4000).toString("hex")}`);
          connection.socket.destroy();
        })(),
      );
    }
    await Promise.all(all);
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () => WebSocketClient.open(server, { localAddress: newPlace() })),
    );
    for (const socket of sockets) socket.sendFrame(opcodes.text, " ".repeat(60_000), { fin: false });
    for (const socket of sockets) socket.drop();
    await assertAlive();
  };
  for (let i = 0; i < 3; ++i) await round();
  const warm = server.memory();
  for (let i = 0; i < 10; ++i) await round();
  const grown = server.memory() - warm;
  assert.ok(grown < 12 * 1024, `${grown} kB more after ten rounds`);
});

// --- starting badly -------------------------------------------------------------------------------

function folderWith(files) {
  const folder = temporaryFolder("start");
  for (const [name, [text, mode]] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text, { mode });
  return folder;
}

function assertOneLine(outcome, code, pattern) {
  assert.equal(outcome.code, code, outcome.stderr);
  const lines = outcome.stderr.split("\n").filter((line) => line.startsWith("countersign: "));
  assert.equal(lines.length, 1, outcome.stderr);
  assert.match(lines[0], pattern);
}

test("start: a missing secret file is named, exit 3", async () => {
  const outcome = await refusedStart({
    settings: { "application.key": crypto.randomUUID(), "application.secret_file": "/nonexistent/app.secret" },
  });
  assertOneLine(outcome, 3, /\/nonexistent\/app\.secret/);
});

test("start: an unreadable secret file is named, exit 3", async () => {
  const folder = temporaryFolder("start"); // a folder cannot be read as a file, not even by root
  const outcome = await refusedStart({
    settings: { "application.key": crypto.randomUUID(), "application.secret_file": folder },
  });
  assertOneLine(outcome, 3, new RegExp(folder));
});

for (const [what, text] of Object.entries({
  "not base64": "this is not base64!",
  "shorter than 16 bytes": Buffer.alloc(15, 7).toString("base64"),
  empty: "",
})) {
  test(`start: a secret that is ${what} is refused, exit 3, and not shown`, async () => {
    const folder = folderWith({ secret: [text, 0o600] });
    const outcome = await refusedStart({
      settings: { "application.key": crypto.randomUUID(), "application.secret_file": path.join(folder, "secret") },
    });
    assertOneLine(outcome, 3, /secret/);
    if (text !== "") assert.ok(!outcome.stderr.includes(text));
  });
}

test("start: a lost secret of ours is an error, not a new secret", async () => {
  const lost = await startServer();
  await lost.stop();
  fs.rmSync(path.join(lost.dataDir, "app.secret"));
  const outcome = await refusedStart({ dataDir: lost.dataDir });
  assertOneLine(outcome, 3, /app\.secret/);
});

test("start: an unwritable data directory is named, exit 1", async () => {
  const folder = folderWith({ file: ["", 0o600] });
  const outcome = await refusedStart({ dataDir: path.join(folder, "file", "var") });
  assertOneLine(outcome, 1, new RegExp(path.join(folder, "file")));
});

test("start: a port in use is one clear line, exit 1", async () => {
  const outcome = await refusedStart({ listen: `localhost:${server.port}` });
  assertOneLine(outcome, 1, new RegExp(`in use.*${server.port}|${server.port}.*in use`));
});

test("start: a data directory in use is refused, exit 1", async () => {
  const outcome = await refusedStart({ dataDir: server.dataDir });
  assertOneLine(outcome, 1, /Another server uses this data directory/);
});

test("start: another master key than the store's is refused", async () => {
  const other = await startServer();
  await other.stop();
  fs.writeFileSync(path.join(other.dataDir, "master.key"), `${crypto.randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
  const outcome = await refusedStart({ dataDir: other.dataDir });
  assertOneLine(outcome, 1, /master key/);
});

test("start: an unknown setting is named, with the nearest known one, wherever it stands", async () => {
  const folder = folderWith({ "a.toml": ["[server]\nlistenn = \"localhost:0\"\n", 0o600] });
  const file = path.join(folder, "a.toml");
  const inFile = await countersign(["serve", "--config", file, "--data-dir", path.join(folder, "var")]);
  assertOneLine(inFile, 2, /server\.listenn.*server\.listen\b/);
  assert.match(inFile.stderr, /a\.toml/);
  const asFlag = await refusedStart({ settings: { "gateway.tiket_policy": "strict" } });
  assertOneLine(asFlag, 2, /gateway\.tiket_policy.*gateway\.ticket_policy/);
  const bad = await refusedStart({ settings: { "gateway.ticket_policy": "lenient" } });
  assertOneLine(bad, 2, /gateway\.ticket_policy.*default, strict/);
  const number = await refusedStart({ settings: { "limits.max_connections": "many" } });
  assertOneLine(number, 2, /limits\.max_connections/);
  const port = await refusedStart({ listen: "localhost:99999" });
  assertOneLine(port, 2, /server\.listen/);
});

test("start: settings below the floor of password hashing are refused", async () => {
  const outcome = await refusedStart({ settings: { "accounts.argon2_memory_kib": 1024 } });
  assertOneLine(outcome, 2, /argon2_memory_kib/);
});

test("start: a certificate without its key, and one that is none, are refused", async () => {
  const folder = folderWith({ "cert.pem": ["nonsense", 0o600], "key.pem": ["nonsense", 0o600] });
  const certificate = path.join(folder, "cert.pem");
  const half = await refusedStart({ settings: { "server.tls_certificate": certificate } });
  assertOneLine(half, 2, /tls/);
  const none = await refusedStart({
    settings: { "server.tls_certificate": certificate, "server.tls_key": path.join(folder, "key.pem") },
  });
  assertOneLine(none, 1, /cert/);
});

test("a full disk: sign-up is refused clearly, the server lives, and later it works", async (t) => {
  // A small file system of its own where this may be mounted, else a limit on file sizes.
  const mount = temporaryFolder("full");
  const mounted = await execute("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", mount]);
  if (mounted.code !== 0) return fullByLimit();
  t.after(() => execute("umount", ["-l", mount]));
  const small = await startServer({ dataDir: path.join(mount, "var") });
  const person = await newPerson(small);
  const leaving = await newPerson(small);
  const filler = path.join(mount, "filler");
  const file = fs.openSync(filler, "w");
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(4096, 1));
  } catch (error) {
    assert.equal(error.code, "ENOSPC");
  }
  fs.closeSync(file);
  let refused;
  for (let i = 0; i < 500 && refused === undefined; ++i) {
    const answer = await small.client().post("/users/sign_up", {
      json: { username: newName(), password: newPassword() },
      headers: { accept: "application/json" },
    });
    if (answer.status !== 303) refused = answer;
  }
  assert.ok(refused, "the disk never filled");
  assert.equal(refused.status, 503);
  assert.ok([113, 721].includes(refused.json.code), refused.body);
  assert.equal((await small.client().get("/healthz")).status, 200);
  assert.equal((await person.client.post("/v1/tickets", { json: {} })).status, 200, "tickets go on");
  const copy = leaving.client.copy();
  assert.equal((await leaving.client.signOut()).status, 303, "signing out has room kept for it");
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
  fs.rmSync(filler);
  await newPerson(small);
});

async function fullByLimit() {
  const small = await startServer({ wrap: ["prlimit", "--fsize=5000000"] });
  let refused;
  for (let i = 0; i < 500 && refused === undefined; ++i) {
    const answer = await small.client().post("/users/sign_up", {
      json: { username: newName(), password: newPassword() },
      headers: { accept: "application/json" },
    });
    if (answer.status !== 303) refused = answer;
  }
  assert.equal(refused?.status, 503);
  assert.equal((await small.client().get("/healthz")).status, 200);
  const done = await execute("prlimit", [`--pid=${small.pid}`, "--fsize=unlimited"]);
  assert.equal(done.code, 0);
  await newPerson(small);
}

test("a port that only was in use is free again after kill -9", async () => {
  const port = await freePort();
  const first = await startServer({ listen: `localhost:${port}` });
  const client = first.client();
  await client.get("/healthz"); // leaves a connection behind
  await first.kill();
  await first.restart();
  assert.equal(first.port, port);
  const probe = net.connect(port, "127.0.0.1");
  await new Promise((resolve) => probe.once("connect", resolve));
  probe.destroy();
});
