// The nginx example in front of the classic door, with the real SDK: signatures hold, polls are held, errors of
// nginx's own hang nobody, and no key is written down. Then without its lines, one by one.
import assert from "node:assert/strict";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import test from "node:test";
import { ClassicClient, devCertificate } from "../classic/support/client.mjs";
import { Device, ticketFor } from "../support/inbox.mjs";
import { startNginx, replaced } from "../support/nginx.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { execute, root } from "../support/process.mjs";
import { plantedValues } from "../support/secrets.mjs";
import { freePort, startServer } from "../support/server.mjs";

const files = await devCertificate();

/** A server that only nginx talks to, and nginx: {server, nginx, person}; `person()` makes clients that go through it. */
async function behindNginx(change, { settings = {}, path: below = "" } = {}) {
  const port = await freePort();
  const server = await startServer({
    ca: files.ca,
    settings: { "compat.sinch_sdk": "true", "server.public_url": `https://localhost:${port}`, "server.trusted_proxies": "127.0.0.1,::1", ...settings },
  });
  const nginx = await startNginx({ port, upstream: server.port, certificate: files.certificate, key: files.key, change });
  const outside = { ...server, url: nginx.url, port, ca: files.ca, applicationKey: server.applicationKey, applicationSecret: server.applicationSecret, traffic: server.traffic };
  const person = async (stem) => {
    const client = new ClassicClient(outside, { origin: `${nginx.url}${below}` });
    await client.start({ userTicket: ticketFor(server, newName(stem)) });
    return client;
  };
  return { server, nginx, outside, person };
}

const set = await behindNginx();

test("through nginx: start, messages short and long, receipts, a saved session", async () => {
  const [alice, bob] = await Promise.all(["alice", "bob"].map(set.person));
  const [, to] = [alice, bob].map((client) => client.session.userId);
  for (const text of ["short", "slashes // and + and %2F %25 ?#", "long ".repeat(3_000)]) {
    const sent = await alice.send(to, text);
    await bob.message(text);
    await alice.receipt(sent.id, to);
  }
  const saved = bob.session;
  bob.close();
  const again = new ClassicClient(set.outside);
  await again.start({ ...saved });
  await alice.send(to, "again");
  await again.message("again");
  for (const each of [alice, again]) each.close();
});

test("names with plus and at, which stay as they are in the path: sign-in with an address", async () => {
  const email = `ada+tag-${process.pid}@example.org`;
  const password = newPassword();
  const client = new ClassicClient(set.outside);
  const created = await client.newUser({ username: newName("ada"), email, password });
  assert.ok(created.authorization);
  await client.start({ email, password });
  client.close();
});

test("the native SDK's socket opens through it, and both SDKs meet", async () => {
  const alice = await set.person("alice");
  const native = await Device.connect(set.outside, newName("native"));
  await alice.send(native.name, "hello through nginx");
  await native.message("hello through nginx");
  await native.sent(alice.session.userId, "and back");
  await alice.message("and back");
  native.drop();
  alice.close();
});

test("a page may speak HTTP/2: one connection for all its polls", async () => {
  const session = http2.connect(set.nginx.url, { ca: files.ca });
  const answers = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const stream = session.request({ ":path": "/time/0" });
      let body = "";
      for await (const chunk of stream.setEncoding("utf8")) body += chunk;
      return JSON.parse(body);
    }),
  );
  for (const [time] of answers) assert.ok(time > 1e16);
  session.close();
});

test("the server is down: start() is refused with 50300 and does not hang; then it works again", async () => {
  const { server, nginx, person, outside } = await behindNginx();
  const alice = await person("alice");
  await alice.polling();
  await server.stop();
  // The clock's offset is known already: without it the SDK would hang on any error of `timestamp/` (README).
  const client = new ClassicClient(outside);
  client.sinch.timeDelta = 1;
  const error = await client.refused({ userTicket: ticketFor(server, newName()) });
  assert.match(String(error.message), /^50300 /);
  const preflight = await execute("curl", ["-sk", "-i", "-X", "OPTIONS", `${outside.url}/sinch/v1/instance`]);
  assert.match(preflight.stdout, /^HTTP\/2 204/);
  assert.match(preflight.stdout, /access-control-allow-headers: authorization, content-type, x-timestamp/i);
  await server.restart();
  await client.start({ userTicket: ticketFor(server, newName()) });
  const bob = await person("bob");
  await bob.send(alice.session.userId, "after the break");
  await alice.message("after the break", { ms: 40_000 });
  for (const each of [alice, bob, client]) each.close();
  // Nginx writes the whole request beside every error of an upstream: polls that found nobody hold keys.
  assertSilent(nginx);
});

/** Nothing in nginx's logs is a credential. */
function assertSilent(nginx) {
  const log = nginx.logs();
  assert.match(log, /"GET" 200/);
  const found = [...plantedValues()].filter(([value]) => log.includes(value) || log.includes(encodeURIComponent(value))).map(([, kind]) => kind);
  assert.deepEqual(found, []);
  assert.ok(!log.includes("/publish/") && !log.includes("/subscribe/"), log.split("\n").find((line) => /\/(publish|subscribe)\//.test(line)));
}

test("every error of nginx's own is a JSON object that pages may read", async () => {
  const ask = async (...args) => {
    const done = await execute("curl", ["-sk", "-i", ...args]);
    const [head, body] = done.stdout.split("\r\n\r\n").slice(-2);
    assert.match(head, /access-control-allow-origin: \*/i, args.join(" ").slice(0, 80));
    const answer = JSON.parse(body);
    assert.ok(answer.errorCode >= 40000 && answer.message, body);
    return answer;
  };
  await ask("--path-as-is", `${set.nginx.url}/a/../../b`);
  await ask("-X", "POST", "--data-binary", "x".repeat(120_000), "-H", "content-length: 99999999", `${set.nginx.url}/sinch/v1/instance`);
  await ask(`${set.nginx.url}/sinch/v1/nothing`);
});

test("its log holds no key, no frame and no ticket", async () => {
  assertSilent(set.nginx);
});

const prefix = fs.readFileSync(path.join(root, "examples/nginx/prefix.conf"), "utf8");
const withPrefix = (location) => (text) => replaced(text, "    location / {", `${location}\n    location / {`);
const gateway = { settings: { "compat.sinch_path_prefix": "/gateway" }, path: "/gateway" };

test("below a prefix: start, messages, receipts, a saved session, an account, and what nginx answers when the server is down", async () => {
  const { server, nginx, outside, person } = await behindNginx(withPrefix(prefix), gateway);
  const origin = `${nginx.url}/gateway`;
  const [alice, bob] = await Promise.all(["alice", "bob"].map(person));
  assert.ok(alice.sandbox.requests.all.some(({ path: asked }) => asked === "/gateway/sinch/v1/configuration/user"));
  const sent = await alice.send(bob.session.userId, "below a prefix, with // and %2F");
  await bob.message("below a prefix, with // and %2F");
  await alice.receipt(sent.id, bob.session.userId);
  const saved = bob.session;
  bob.close();
  const again = new ClassicClient(outside, { origin });
  await again.start({ ...saved });
  await alice.send(saved.userId, "again");
  await again.message("again");
  const email = `ada+prefix-${process.pid}@example.org`;
  const password = newPassword();
  const account = new ClassicClient(outside, { origin });
  await account.newUser({ username: newName("ada"), email, password });
  await account.start({ email, password });
  await server.stop();
  const late = new ClassicClient(outside, { origin });
  late.sinch.timeDelta = 1; // as above
  assert.match(String((await late.refused({ userTicket: ticketFor(server, newName()) })).message), /^50300 /);
  for (const each of [alice, again, account, late]) each.close();
  assertSilent(nginx);
});

test("below a prefix that the server does not know, signatures are refused, and start() settles", async () => {
  const { server, nginx, outside } = await behindNginx(withPrefix(prefix), { path: "/gateway" });
  const client = new ClassicClient(outside, { origin: `${nginx.url}/gateway` });
  assert.match(String((await client.refused({ userTicket: ticketFor(server, newName()) })).message), /^40102 /);
  client.close();
});

test("without its care for the path, signatures fail", async () => {
  const broken = await behindNginx((text) => replaced(text, "proxy_pass http://countersign;", "proxy_pass http://countersign/;"));
  const client = await broken.person("alice");
  // A path that nginx would write differently; what the client signed is the one it sent.
  const error = await client.sinch.authenticateUsername({ username: "a%b c", password: "x" }).then(
    () => undefined,
    (refusal) => refusal,
  );
  assert.ok(error);
  const friend = await broken.person("bob");
  const sends = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => client.sending(friend.session.userId, `slashes ${n} ${"x".repeat(900)}`).done));
  assert.ok(sends.some(({ status }) => status === "rejected"), "frames with %2F fall apart");
  for (const each of [client, friend]) each.close();
});

test("without room for its frames, long messages are refused, and the send settles", async () => {
  const broken = await behindNginx((text) => replaced(text, "large_client_header_buffers 4 16k;", "large_client_header_buffers 4 1k;"));
  const client = await broken.person("alice");
  const friend = await broken.person("bob");
  await assert.rejects(client.send(friend.session.userId, "x".repeat(4_000)));
  for (const each of [client, friend]) each.close();
});
