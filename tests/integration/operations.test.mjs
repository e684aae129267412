// What operators rely on: health, metrics, log, drain, TLS, the data directory.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import tls from "node:tls";
import { newPerson } from "../support/people.mjs";
import { countersign, execute, temporaryFolder } from "../support/process.mjs";
import { RawConnection } from "../support/raw.mjs";
import { freePort, refusedStart, startServer } from "../support/server.mjs";
import { Gateway } from "../support/websocket.mjs";

const server = await startServer();

async function fetchText(url) {
  const answer = await new Promise((resolve, reject) => http.get(url, resolve).on("error", reject));
  let body = "";
  for await (const chunk of answer) body += chunk;
  return { status: answer.statusCode, headers: answer.headers, body };
}

test("the ready line is the only line on stdout, and names the URL", () => {
  const lines = server.output.filter((line) => !line.startsWith("{"));
  assert.deepEqual(lines, [`ready http://localhost:${server.port}`]);
});

test("/healthz and /readyz answer", async () => {
  const client = server.client();
  assert.deepEqual((await client.get("/healthz")).json, { status: "alive" });
  assert.deepEqual((await client.get("/readyz")).json, { status: "ready" });
  assert.equal((await client.request("HEAD", "/readyz")).body, "");
});

test("metrics have their own address, and the site does not show them", async () => {
  const port = await freePort();
  const measured = await startServer({ settings: { "metrics.listen": `127.0.0.1:${port}` } });
  await measured.logged({ event: "metrics_served", listen: `127.0.0.1:${port}` });
  await newPerson(measured);
  const answer = await fetchText(`http://127.0.0.1:${port}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers["content-type"], /^text\/plain; version=0\.0\.4/);
  assert.match(answer.body, /^# HELP countersign_sign_ups_total/m);
  assert.match(answer.body, /^countersign_sign_ups_total 1$/m);
  for (const line of answer.body.split("\n").filter((text) => text !== "" && !text.startsWith("#"))) {
    assert.match(line, /^[a-z_]+(\{[^}]*\})? \S+$/, line);
  }
  assert.equal((await fetchText(`http://127.0.0.1:${port}/`)).status, 404);
  assert.equal((await measured.client().get("/metrics")).status, 404);
});

test("a metrics address that is taken is a warning, and the server goes on", async () => {
  const holder = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const { port } = holder.address();
  const without = await startServer({ settings: { "metrics.listen": `127.0.0.1:${port}` } });
  await without.logged({ event: "metrics_not_served", level: "warning" });
  assert.equal((await without.client().get("/healthz")).status, 200);
  holder.close();
});

test("the log is one JSON object a line, with the request id that the answer carries", async () => {
  const answer = await server.client().get("/users/sign_in");
  const id = answer.headers["x-request-id"];
  const line = await server.logged({ event: "http_request", request_id: id });
  assert.equal(line.path, "/users/sign_in");
  assert.equal(line.status, 200);
  assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  for (const each of server.log.all) assert.ok(each.event, `not an event: ${each.text}`);
});

test("request ids are the server's own: what a client sends cannot forge log lines", async () => {
  const answer = await server.client().get("/users/sign_in", { headers: { "x-request-id": "forged" } });
  assert.notEqual(answer.headers["x-request-id"], "forged");
  const problem = await server.client().get("/nothing-here");
  assert.equal(problem.json.requestId, problem.headers["x-request-id"]);
});

test("log.level is the lowest level written", async () => {
  const quiet = await startServer({ settings: { "log.level": "error" } });
  await newPerson(quiet);
  assert.deepEqual(quiet.log.all, []);
});

test("SIGTERM: open clients are told when to come back, requests under way are answered, exit 0", async () => {
  const draining = await startServer();
  const { client } = await newPerson(draining);
  const gateways = [];
  for (let i = 0; i < 5; ++i) gateways.push(await Gateway.connect(draining, await client.ticket()));
  const halfway = await RawConnection.open(draining);
  halfway.write("POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n");
  halfway.write('{"username":"nobody",');
  // The server has read that when it answers somebody else on the same address afterwards.
  assert.equal((await client.get("/healthz")).status, 200);
  const ended = draining.stop();
  await draining.logged({ event: "draining" });
  halfway.write('"password":1}');
  assert.equal((await halfway.answer()).status, 400);
  for (const gateway of gateways) {
    const bye = await gateway.push("bye");
    assert.equal(bye.code, 4101);
    assert.equal(bye.reason, "shutdown");
    assert.ok(bye.retry_after_ms >= 0);
    assert.equal((await gateway.closed).code, 4101);
  }
  assert.deepEqual(await ended, { code: 0, signal: null });
});

test("SIGTERM does not wait for ever for a client that says nothing", async () => {
  const stubborn = await startServer({ settings: { "server.drain_seconds": 1 } });
  const hanging = await RawConnection.open(stubborn);
  hanging.write("POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
  const began = performance.now();
  assert.deepEqual(await stubborn.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - began < 5000);
});

test("SIGINT ends it like SIGTERM", async () => {
  const other = await startServer();
  assert.deepEqual(await other.stop("SIGINT"), { code: 0, signal: null });
});

test("files are private, and nothing but the server's own lies in the data directory", () => {
  const mode = (name) => fs.statSync(path.join(server.dataDir, name)).mode & 0o777;
  assert.equal(fs.statSync(server.dataDir).mode & 0o777, 0o700);
  for (const name of ["app.secret", "master.key", "countersign.db"]) assert.equal(mode(name), 0o600, name);
  for (const name of fs.readdirSync(server.dataDir)) assert.equal(mode(name) & 0o077, name === "app.key" ? mode(name) & 0o077 : 0, name);
  assert.equal(Buffer.from(server.applicationSecret, "base64").length >= 16, true);
});

test("no core dump is written", () => {
  assert.match(fs.readFileSync(`/proc/${server.pid}/limits`, "utf8"), /^Max core file size\s+0\s+0\s/m);
});

test("localhost is served on both of its addresses", async () => {
  const six = net.connect(server.port, "::1");
  const outcome = await new Promise((resolve) => {
    six.once("connect", () => resolve("connected"));
    six.once("error", (error) => resolve(error.code));
  });
  six.destroy();
  // A machine may have no IPv6 at all; where it has, both answer.
  assert.ok(["connected", "EADDRNOTAVAIL", "EAFNOSUPPORT", "ENETUNREACH"].includes(outcome), outcome);
});

test("TLS: the development certificate serves, and SIGHUP reads a new one without dropping anybody", async () => {
  const folder = temporaryFolder("tls");
  const dataDir = path.join(folder, "var");
  const make = async () => {
    const made = await countersign(["dev-certificate", "--renew", "--data-dir", dataDir]);
    assert.equal(made.code, 0, made.stderr);
  };
  await make();
  const file = (name) => path.join(dataDir, name);
  const [certificate, key] = ["dev-certificate.pem", "dev-certificate.key"].map(file);
  const authority = fs.readdirSync(dataDir).find((name) => /authority|ca/i.test(name) && name.endsWith(".pem"));
  const ca = fs.readFileSync(file(authority));
  const secure = await startServer({
    dataDir,
    settings: { "server.tls_certificate": certificate, "server.tls_key": key },
  });
  assert.match(secure.url, /^https:\/\/localhost:\d+$/);
  const { client } = await newPerson(secure, { ca });
  const answer = await client.get("/");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["strict-transport-security"], undefined);
  const gateway = await Gateway.connect(secure, await client.ticket(), { ca });

  const serial = async () => {
    const socket = tls.connect({ host: "127.0.0.1", port: secure.port, rejectUnauthorized: false, servername: "localhost" });
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    const certificateSeen = socket.getPeerX509Certificate();
    assert.ok(["TLSv1.2", "TLSv1.3"].includes(socket.getProtocol()));
    socket.destroy();
    return certificateSeen.serialNumber;
  };
  const before = await serial();
  await make();
  assert.notEqual(new X509Certificate(fs.readFileSync(certificate)).serialNumber, before);
  process.kill(secure.pid, "SIGHUP");
  await secure.logged({ event: "certificate_reloaded" });
  assert.equal(await serial(), new X509Certificate(fs.readFileSync(certificate)).serialNumber);
  assert.deepEqual((await gateway.command("ping")).ping, {}, "open connections stay");

  fs.writeFileSync(certificate, "broken");
  process.kill(secure.pid, "SIGHUP");
  await secure.logged({ event: "certificate_not_reloaded" });
  assert.notEqual(await serial(), before, "the old one stays");
  // Plain http at the TLS port is refused without an answer that could be misread.
  const plain = await RawConnection.open(secure);
  plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await plain.closed;
});

test("TLS 1.1 is refused", async () => {
  const dataDir = path.join(temporaryFolder("tls"), "var");
  assert.equal((await countersign(["dev-certificate", "--data-dir", dataDir])).code, 0);
  const secure = await startServer({
    dataDir,
    settings: {
      "server.tls_certificate": path.join(dataDir, "dev-certificate.pem"),
      "server.tls_key": path.join(dataDir, "dev-certificate.key"),
    },
  });
  const outcome = await execute("openssl", [
    "s_client", "-connect", `127.0.0.1:${secure.port}`, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0",
  ]);
  assert.notEqual(outcome.code, 0);
});

test("settings come from the file, then the environment, then flags", async () => {
  const folder = temporaryFolder("config");
  const file = path.join(folder, "countersign.toml");
  fs.writeFileSync(file, '[accounts]\nsign_up = "closed"\n[issuing]\nticket_seconds = 600\n');
  const configured = await startServer({ arguments: ["--config", file], env: { COUNTERSIGN_ACCOUNTS__SIGN_UP: "open" } });
  const { client } = await newPerson(configured);
  const given = (await client.post("/v1/tickets", { json: {} })).json;
  const left = Date.parse(given.expiresAt) - Date.now();
  assert.ok(left > 590_000 && left < 610_000, `${left} ms`);
});

test("a variable that names no setting is an error, and one that could name none a warning", async () => {
  const refused = await refusedStart({ env: { COUNTERSIGN_SERVER__LISTENN: "x" } });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /COUNTERSIGN_SERVER__LISTENN.*server\.listen\b/);
  const typo = await startServer({ env: { COUNTERSIGN_SERVERLISTEN: "x" } });
  await typo.logged({ level: "warning", name: "COUNTERSIGN_SERVERLISTEN" });
});
