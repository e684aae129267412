// Tickets the gateway refuses: one flat answer outside, the exact reason in the log.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import test from "node:test";
import { newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { mint, sign } from "../support/tickets.mjs";
import { Gateway, refusal } from "../support/websocket.mjs";

const server = await startServer();
const key = server.applicationKey;
const secret = server.applicationSecret;
const otherSecret = crypto.randomBytes(32).toString("base64");
const hour = 3600_000;
const good = { key, secret, username: "visitor" };

function tamper(ticket, change) {
  const [data, signature] = ticket.split(":");
  const claims = JSON.parse(Buffer.from(data, "base64"));
  change(claims);
  return `${Buffer.from(JSON.stringify(claims)).toString("base64")}:${signature}`;
}

const faults = {
  bad_signature: [
    ["signed with another secret", () => mint({ ...good, secret: otherSecret })],
    ["changed after signing", () => tamper(mint(good), (claims) => (claims.identity.endpoint = "admin"))],
    ["expired and forged", () => mint({ ...good, secret: otherSecret, created: Date.now() - 2 * hour })],
  ],
  not_yet_valid: [["made in the future", () => mint({ ...good, created: Date.now() + hour })]],
  unknown_key: [["of another application", () => mint({ ...good, key: crypto.randomUUID() })]],
  lifetime_too_long: [["of a week", () => mint({ ...good, expiresIn: 7 * 86400 })]],
  bad_identity_type: [["for a thing", () => mint({ ...good, identity: { type: "thing", endpoint: "x" } })]],
  bad_layout: [["not a ticket at all", () => "this-is-no-ticket-of-anybody"]],
  bad_json: [
    ["of something that is not JSON", () => `${Buffer.from("{nonsense").toString("base64")}:${sign("{nonsense", secret)}`],
  ],
};

function withoutIds(answer) {
  return JSON.stringify(answer).replaceAll(/"id":\d+/g, '"id":0');
}

test("a good ticket of any producer is accepted", async () => {
  const gateway = await Gateway.connect(server, mint(good));
  assert.deepEqual(gateway.hello.user, { type: "username", endpoint: "visitor" });
  await gateway.close();
});

const outside = new Set();
for (const [reason, cases] of Object.entries(faults)) {
  for (const [what, make] of cases) {
    test(`a ticket ${what} is refused flatly, and the log says ${reason}`, async () => {
      const from = server.log.all.length;
      const answer = await refusal(server, make());
      assert.equal(answer.reply.error.code, 101);
      assert.equal(answer.reply.error.temporary, false);
      assert.equal(answer.bye.code, 4500);
      assert.equal(answer.closed.code, 4500);
      outside.add(withoutIds(answer));
      assert.equal(outside.size, 1, [...outside].join("\n"));
      await server.logged({ reason }, { from });
    });
  }
}

test("expired is told, as 109, only when the signature held", async () => {
  const from = server.log.all.length;
  const answer = await refusal(server, mint({ ...good, created: Date.now() - 2 * hour }));
  assert.equal(answer.reply.error.code, 109);
  assert.equal(answer.closed.code, 4500);
  await server.logged({ reason: "expired" }, { from });
});

test("a revoked ticket gets the reply of a forged one, and the terminal close", async () => {
  const { client } = await newPerson(server);
  const ticket = await client.ticket();
  await client.signOut();
  const from = server.log.all.length;
  const answer = await refusal(server, ticket);
  assert.equal(answer.reply.error.code, 101);
  assert.equal(answer.closed.code, 4503);
  const forged = await refusal(server, mint({ ...good, secret: otherSecret }));
  assert.equal(withoutIds(answer.reply), withoutIds(forged.reply));
  await server.logged({ reason: "revoked" }, { from });
});

test("a session handle that never was is revoked too", async () => {
  const from = server.log.all.length;
  const answer = await refusal(server, mint({ ...good, session: "nobodys-session" }));
  assert.equal(answer.reply.error.code, 101);
  await server.logged({ reason: "revoked" }, { from });
});

test("`user sign-out` also kills tickets without a session, up to that moment", async () => {
  const { name } = await newPerson(server);
  const old = mint({ ...good, username: name, created: Date.now() - 5_000 });
  const gateway = await Gateway.connect(server, old);
  assert.equal((await server.command(["user", "sign-out", name])).code, 0);
  assert.equal((await gateway.closed).code, 4503);
  const answer = await refusal(server, old);
  assert.equal(answer.reply.error.code, 101);
  const young = await Gateway.connect(server, mint({ ...good, username: name, created: Date.now() + 1_000 }));
  await young.close();
});

test("an instance needs its own secret", async () => {
  const one = await Gateway.connect(server, mint(good));
  const other = await Gateway.connect(server, mint({ ...good, username: "another" }));
  const crossed = await refusal(server, { instance: one.instance, secret: other.secret });
  assert.equal(crossed.reply.error.code, 101);
  const unknown = await refusal(server, { instance: "no-such-instance", secret: other.secret });
  assert.equal(withoutIds(crossed), withoutIds(unknown));
  await one.close();
  await other.close();
});

test("strict policy refuses what the classic producers write, and takes ours", async () => {
  const strict = await startServer({ settings: { "gateway.ticket_policy": "strict" } });
  const { client } = await newPerson(strict);
  await (await Gateway.connect(strict, await client.ticket())).close();
  const from = strict.log.all.length;
  const answer = await refusal(
    strict,
    mint({ key: strict.applicationKey, secret: strict.applicationSecret, username: "visitor", extra: 1 }),
  );
  assert.equal(answer.reply.error.code, 101);
  await strict.logged({ reason: "unknown_member" }, { from });
});

test("the replay cache refuses a ticket to a second device, and not to the first", async () => {
  const guarded = await startServer({ settings: { "gateway.replay_cache": "true" } });
  const ticket = mint({ key: guarded.applicationKey, secret: guarded.applicationSecret, username: "visitor" });
  const first = await Gateway.connect(guarded, ticket, { device: "first" });
  first.socket.drop();
  const again = await Gateway.connect(guarded, ticket, { device: "first" });
  assert.equal(again.instance, first.instance);
  const gateway = await Gateway.open(guarded);
  const reply = await gateway.command("connect", { userTicket: ticket, device: "second" });
  assert.equal(reply.error.code, 101);
  await guarded.logged({ reason: "replayed" });
  await again.close();
});
