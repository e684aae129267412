// The settings of the classic door: further ports and names for its polls, a prefix that a proxy takes away,
// how many instances one user may have, and how long those wait who ask too much.
import assert from "node:assert/strict";
import test from "node:test";
import { assertReadable, assertRefused, PlainClassic, rest, startClassicVictim } from "../support/classic.mjs";
import { ticketFor } from "../support/inbox.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { freePort, refusedStart } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";
import { Gateway } from "../support/websocket.mjs";

/** The same client at another port of the server. */
function through(client, port) {
  const { server } = client;
  const other = Object.assign(Object.create(PlainClassic.prototype), client);
  other.http = server.client();
  other.http.server = { port, traffic: server.traffic };
  return other;
}

test("compat.sinch_hosts: ports alone are listened on, and clients are told them in turn", async () => {
  const ports = [await freePort(), await freePort()];
  const server = await startClassicVictim({ settings: { "compat.sinch_hosts": ports.map((port) => `:${port}`).join(",") } });
  const clients = [];
  for (let i = 0; i < 4; ++i) clients.push(await PlainClassic.start(server, newName("ada")));
  const hosts = clients.map(({ networks }) => networks.broadcastNetwork.host);
  assert.deepEqual([...new Set(hosts)].sort(), ports.map((port) => `localhost:${port}`).sort());
  for (const { networks } of clients) assert.notEqual(networks.signalNetwork.host, networks.broadcastNetwork.host);

  const [ada, grace] = clients;
  await ada.now();
  const now = await through(grace, ports[0]).now();
  const transport = await ada.transport(grace.name);
  const waiting = through(grace, ports[0]).poll(now);
  const session = await through(ada, ports[1]).send(transport, "by another port");
  assert.equal((await waiting).frames[0].session, session);
});

test("compat.sinch_hosts: names with and without a port are told as they are", async () => {
  const server = await startClassicVictim({ settings: { "compat.sinch_hosts": "poll-1.example.org,poll-2.example.org:8443" } });
  const { networks } = await PlainClassic.start(server, newName("ada"));
  const told = [networks.broadcastNetwork.host, networks.signalNetwork.host].sort();
  assert.deepEqual(told, ["poll-1.example.org", "poll-2.example.org:8443"]);
});

for (const [what, settings] of Object.entries({
  "a name that the SDK rewrites": { "compat.sinch_hosts": "ps1.example.org" },
  "a name that the SDK rewrites, too": { "compat.sinch_hosts": "PubSub.example.org:443" },
  "a public URL that the SDK rewrites": { "server.public_url": "https://pubsub.example.org", "compat.sinch_sdk": "true" },
  "no name": { "compat.sinch_hosts": "https://example.org" },
  "no port": { "compat.sinch_hosts": ":0" },
  "a prefix that is no path": { "compat.sinch_path_prefix": "gateway/" },
  "no whole hours": { "compat.sinch_instance_hours": "0" },
})) {
  test(`a server with ${what} in its settings does not start, and says which setting it is`, async () => {
    const { code, stderr } = await refusedStart({ settings });
    assert.notEqual(code, 0);
    assert.match(stderr, /compat\.sinch_/);
  });
}

test("a port that is taken keeps the server from starting", async () => {
  const taken = await freePort();
  const first = await startClassicVictim({ settings: { "compat.sinch_hosts": `:${taken}` } });
  assert.equal((await first.client().get("/healthz")).status, 200);
  const { code } = await refusedStart({ settings: { "compat.sinch_sdk": "true", "compat.sinch_hosts": `:${taken}` } });
  assert.notEqual(code, 0);
});

test("compat.sinch_path_prefix: what was signed in front of the proxy is valid behind it, and nothing else", async () => {
  const server = await startClassicVictim({ settings: { "compat.sinch_path_prefix": "/gateway" } });
  const client = await PlainClassic.start(server, newName("ada"));
  const path = `${rest}user/profile`;
  const signedFor = (target) => client.request("GET", path, { signed: { target } });
  assertReadable(await signedFor(`/gateway${path}`), 200);
  assertReadable(await signedFor(path), 200);
  assertRefused(await signedFor(`/other${path}`), 401, 40102);
  assertRefused(await signedFor(`/gateway/gateway${path}`), 401, 40102);
});

test("one instance too many: the oldest classic one makes room; native ones stay, and fill up the limit", async () => {
  const server = await startClassicVictim({ settings: { "limits.max_instances_per_user": 3 } });
  const name = newName("ada");
  const started = [];
  for (let i = 0; i < 5; ++i) started.push(await PlainClassic.start(server, name));
  const profile = (client) => client.request("GET", `${rest}user/profile`);
  // As soon as the node hears of it.
  for (const client of started.slice(0, 2)) {
    assertReadable(await eventually(() => profile(client), ({ status }) => status !== 200, "the end of an instance"), 401);
  }
  for (const client of started.slice(2)) assertReadable(await profile(client), 200);

  const other = newName("grace");
  for (let i = 0; i < 3; ++i) await Gateway.connect(server, ticketFor(server, other), { device: `device-${i}` });
  const refused = await new PlainClassic(server, other).withTicket("POST", `${rest}instance`, ticketFor(server, other));
  assertRefused(refused, 403, 40300);
});

test("too much at once is 429, and Retry-After says what is true: a second for budgets, an hour for sign-ups", async () => {
  const server = await startClassicVictim({ settings: { "limits.messages_per_second": 1, "accounts.sign_ups_per_hour": 1 } });
  const [ada, grace] = await Promise.all(["ada", "grace"].map((stem) => PlainClassic.start(server, newName(stem))));
  const open = () => ada.request("POST", `${rest}transport`, { json: [{ identity: grace.name }] });
  const all = await Promise.all(Array.from({ length: 30 }, open));
  const refused = all.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0 && refused.length < 30, `${refused.length} of 30 are refused`);
  for (const answer of refused) {
    assertRefused(answer, 429, 42900);
    assert.equal(answer.headers["retry-after"], "1");
  }
  // And so it is: a second later there is room again.
  assert.equal((await eventually(open, ({ status }) => status === 200, "room for one more", 5_000)).status, 200);

  const stranger = new PlainClassic(server, "nobody");
  const signUp = () =>
    stranger.plain("POST", `${rest}users`, {
      authorization: `application ${server.applicationKey}`,
      json: { password: newPassword(), identities: [{ type: "username", endpoint: newName() }] },
    });
  assertReadable(await signUp(), 200);
  const late = await signUp();
  assertRefused(late, 429, 42900);
  assert.equal(late.headers["retry-after"], "3600");
});
