// Malformed, oversized, slow and hostile requests: a documented code for each, at bounded cost.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import test from "node:test";
import { newPerson } from "../support/people.mjs";
import { RawConnection } from "../support/raw.mjs";
import { startServer } from "../support/server.mjs";
import { assertProblem, limits, startVictim } from "../support/victim.mjs";
import { WebSocketClient, opcodes } from "../support/websocket.mjs";

const { server, newPlace, raw, assertAlive } = await startVictim();

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
  for (let i = 0; i < limits.connectionsPerAddress; ++i) held.push(await RawConnection.open(server, { localAddress: place }));
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
