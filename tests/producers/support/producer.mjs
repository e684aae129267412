// Other people's ticket producers, run in their own languages, and what becomes of their tickets: a real classic
// client starts where ticket-format.md says accept, and shows the SDK's own error where it says reject.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { ClassicClient, startClassicServer } from "../../classic/support/client.mjs";
import { execute, root } from "../../support/process.mjs";
import { plant } from "../../support/secrets.mjs";

export const source = (name) => path.join(root, "tests/producers/support", name);

const start = (policy) => startClassicServer({ settings: { "gateway.ticket_policy": policy } });

/** One server for each ticket policy, for all tests of a file. */
export const servers = { default: await start("default"), strict: await start("strict") };

/** What a producer prints, a ticket a line. */
export async function mintWith(command, server, name, { ago = 0, variant } = {}) {
  const args = [...command.slice(1), server.applicationKey, server.applicationSecret, name, String(ago), ...(variant ? [variant] : [])];
  const done = await execute(command[0], args, { env: { LC_ALL: "C.UTF-8" } });
  assert.equal(done.code, 0, done.stderr);
  return done.stdout.trimEnd().split("\n").map((ticket) => plant("ticket", ticket));
}

/** The refusal of a ticket by the server, whatever a client makes of it first: its reason in the log. */
async function reasonFor(server, ticket) {
  const answer = await server.client().post("/sinch/v1/instance", {
    headers: { authorization: `user ${ticket}`, "x-timestamp": new Date().toISOString(), "content-type": "application/json; charset=UTF-8" },
    body: "{}",
    site: null,
  });
  assert.equal(answer.status, 401, answer.body);
  // Its own line: that of the client's request may still be on its way from the server.
  const { reason } = await server.logged({ event: "classic_refused", request_id: answer.headers["x-request-id"] });
  return reason;
}

/**
 * Runs each case as a test.
 * @param cases  {what, name, ago, variant, policy, choose, starts | refused, client}
 *   choose   of many tickets, the one that is meant.
 *   starts   the user that the server knows it as, or a function of the ticket; `client` what the SDK believes, if that differs.
 *   refused  the reason in the log; `client` the error the SDK has before it even asks.
 */
export function testProducer(language, command, cases) {
  for (const { what, name, ago, variant, policy = "default", choose = ([first]) => first, starts: expected, refused, client: believed } of cases) {
    const outcome = refused === undefined ? "starts" : `refused as ${refused}`;
    test(`${language}, ${what}${policy === "strict" ? " (strict)" : ""}: ${outcome}`, async () => {
      const server = servers[policy];
      const ticket = choose(await mintWith(command, server, name, { ago, variant }));
      assert.ok(ticket !== undefined, "no ticket of that kind was minted");
      const starts = typeof expected === "function" ? expected(ticket) : expected;
      const client = new ClassicClient(server);
      if (starts !== undefined) {
        const from = server.log.all.length;
        await client.start({ userTicket: ticket });
        assert.equal(client.session.userId, believed ?? starts);
        await client.polling();
        const profile = await new Promise((resolve, reject) => client.sinch.getUserProfile().then(resolve, reject));
        assert.deepEqual(profile.identities, [{ type: "username", endpoint: starts }]);
        assert.ok(!server.log.all.slice(from).some(({ event }) => event === "classic_refused"));
      } else {
        const error = await client.refused({ userTicket: ticket });
        assert.match(String(error.message), believed ?? /^401\d\d \S/);
        assert.equal(await reasonFor(server, ticket), refused);
      }
      client.close();
    });
  }
}

/** Many names, of whose tickets some have a digest that begins or ends with a blank. */
export const manyNames = Array.from({ length: 300 }, (_, number) => `name${number}`).join("\n");
const digestBytes = (ticket) => Buffer.from(ticket.split(":")[1], "base64").length;
export const trimmed = (tickets) => tickets.find((ticket) => digestBytes(ticket) < 32);
export const whole = (tickets) => tickets.find((ticket) => digestBytes(ticket) === 32);

/** Whom a ticket names. */
export const nameIn = (ticket) => JSON.parse(Buffer.from(ticket.split(":")[0], "base64")).identity.endpoint;

/** What every producer must manage. */
export const everyday = [
  { what: "a plain name", name: "ada", starts: "ada" },
  { what: "an address as a name", name: "ada@example.org", starts: "ada@example.org" },
  { what: "two days old", name: "ada", ago: 2 * 86400 + 120, refused: "expired" },
  { what: "from the future", name: "ada", ago: -3600, refused: "not_yet_valid" },
];
