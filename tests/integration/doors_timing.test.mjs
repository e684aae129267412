// Equal time: how long a door takes tells nobody whether a name or an address has an account.
//
// Two things see to that, and each is tested alone: a hash of the same cost is made for unknown names
// (the decoy), and no answer leaves before the floor, within which the work has to stay.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import test from "node:test";
import { newName, newPassword } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { quantile, welch, withoutOutliers } from "../support/statistics.mjs";

// A hash of the least cost that may be set takes two cores to about 80 a second at best. Thirty attempts
// in flight under the default floor of 250 ms would be 120 a second: a queue that only grows, and in it
// the work leaves the floor. So the floor is 600 ms here: thirty in flight are 50 a second. Jitter is off,
// as in all tests: it would hide what is measured.
const floor = 600;
const inFlight = 30;
const leak = 4.5; // Welch's |t| from which times differ: by chance once in 150,000 times

let lastPlace = 0;
/** An address nobody has used: throttles count by address, and a throttled attempt is not hashed. */
function newPlace() {
  ++lastPlace;
  return `127.8.${lastPlace >> 8}.${lastPlace & 255}`;
}

/** One attempt at a door by somebody new: its milliseconds. Undefined if the hash pool was full. */
async function timed(server, attempt, expected, localAddress = newPlace()) {
  const client = server.client({ localAddress });
  const answer = await attempt(client);
  client.close();
  if (answer.status === 503) return undefined; // refused before anybody looked who was meant
  assert.equal(answer.status, expected, answer.body);
  return answer.ms;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Makes all attempts, `parallel` at a time, begun evenly over `spread` ms: thirty at once would find the
 * hash pool full. Who finds it full all the same comes again when the answer says, after a second.
 * @param attempts  {kind, run}: run gives milliseconds, or undefined if the pool was full.
 * @return the samples of each kind.
 */
async function perform(attempts, { parallel, spread }) {
  const samples = {};
  const waiting = [...attempts];
  const worker = async (index) => {
    await pause((index * spread) / parallel);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const ms = await next.run();
      if (ms !== undefined) {
        (samples[next.kind] ??= []).push(ms);
      } else {
        waiting.push(next);
        await pause(1000);
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, (_, index) => worker(index)));
  return samples;
}

/** In an order by chance: known before unknown, again and again, would itself be a difference. */
function shuffled(attempts) {
  const order = attempts.map((attempt) => [crypto.randomInt(2 ** 40), attempt]);
  return order.sort(([a], [b]) => a - b).map(([, attempt]) => attempt);
}

function attemptsOf(kind, count, run) {
  return Array.from({ length: count }, (_, index) => ({ kind, run: () => run(index) }));
}

function difference(a, b) {
  return Math.abs(welch(...withoutOutliers(a, b)));
}

function newAddress() {
  return `${newName("mail")}@example.org`;
}

/** People of this server, each under a name and an address of mail. */
async function population(server, size) {
  const people = Array.from({ length: size }, () => ({ name: newName(), email: newAddress() }));
  const queue = [...people];
  const maker = async () => {
    for (let person = queue.pop(); person !== undefined; person = queue.pop()) {
      const client = server.client({ localAddress: newPlace() });
      assert.equal((await client.signUp(person.name, newPassword(), { email: person.email })).status, 303);
      client.close();
    }
  };
  await Promise.all(Array.from({ length: 4 }, maker));
  return people;
}

// What may be attempted.

const wrongPassword = (typed, from) => (server) =>
  timed(server, (client) => client.signIn(typed, newPassword()), 422, from);
const wrongAtApi = (typed) => (server) =>
  timed(server, (client) => client.post("/api/auth", { json: { username: typed, password: newPassword() } }), 403);
const newAccount = (email) => (server) =>
  timed(server, (client) => client.signUp(newName(), newPassword(), { email }), 303);
const asApplication = (server) => ({ authorization: `application ${server.applicationKey}` });
const wrongAtClassic = (typed) => (server) =>
  timed(
    server,
    (client) =>
      client.post(`/sinch/v1/users/${typed.includes("@") ? "email" : "username"}/${encodeURIComponent(typed)}/authentication`, {
        headers: asApplication(server),
        json: { password: newPassword() },
        site: null,
      }),
    401,
  );
const newClassicAccount = (email) => (server) =>
  timed(
    server,
    (client) =>
      client.post("/sinch/v1/users", {
        headers: asApplication(server),
        json: { password: newPassword(), identities: [{ type: "username", endpoint: newName() }, { type: "email", endpoint: email }] },
        site: null,
      }),
    200,
  );

test("sign-in, /api/auth, sign-up and the classic door: the time tells nothing, and the work stays within the floor", async () => {
  const server = await startServer({ settings: { "accounts.answer_floor_ms": floor, "log.level": "warning", "compat.sinch_sdk": "true" } });
  // Enough of them that nobody's account reaches the hundred failures from which it is slowed everywhere.
  const people = await population(server, 60);
  // By turns by name and by address of mail, each as long as its unknown twin.
  const known = (index) => people[index % people.length][index % 2 ? "email" : "name"];
  const unknown = (index) => (index % 2 ? newAddress() : newName());
  const doors = {
    "sign-in": { count: 500, known: (i) => wrongPassword(known(i)), unknown: (i) => wrongPassword(unknown(i)) },
    "/api/auth": { count: 500, known: (i) => wrongAtApi(known(i)), unknown: (i) => wrongAtApi(unknown(i)) },
    // Here a user name that is taken is told, as it is public; that somebody has the address is not
    // (docs/decisions/0004). Every attempt makes an account, and nothing is verified: fewer will do.
    "sign-up": {
      count: 200,
      known: (i) => newAccount(people[i % people.length].email),
      unknown: () => newAccount(newAddress()),
    },
    // The same floors and the same work behind them: fewer attempts will do.
    "classic sign-in": { count: 250, known: (i) => wrongAtClassic(known(i)), unknown: (i) => wrongAtClassic(unknown(i)) },
    "classic sign-up": {
      count: 150,
      known: (i) => newClassicAccount(people[i % people.length].email),
      unknown: () => newClassicAccount(newAddress()),
    },
  };

  /** What is wrong with the times of one round at these doors; nothing if all is well. */
  const measure = async (names) => {
    const attempts = names.flatMap((name) =>
      ["known", "unknown"].flatMap((who) =>
        attemptsOf(`${name}, ${who}`, doors[name].count, (index) => doors[name][who](index)(server)),
      ),
    );
    const before = server.processorMs();
    const samples = await perform(shuffled(attempts), { parallel: inFlight, spread: floor });
    // By the processor's clock, which a busy machine does not slow down much.
    const work = (server.processorMs() - before) / attempts.length;
    assert.ok(work < floor / 5, `an attempt costs ${work} ms of the processor: too much for this floor`);
    const wrong = [];
    for (const name of names) {
      const [a, b] = ["known", "unknown"].map((who) => samples[`${name}, ${who}`]);
      const all = [...a, ...b];
      assert.ok(Math.min(...all) >= floor - 1, `${name} answered after ${Math.min(...all)} ms`);
      const middle = quantile(all, 0.5);
      const t = difference(a, b);
      const seen = difference(a, b.map((ms) => ms + work)); // of a door that hashes for one of the two only
      if (middle > floor + 50) wrong.push([name, `half of the answers took over ${middle} ms: the work left the floor`]);
      else if (t >= leak) wrong.push([name, `Welch's t is ${t.toFixed(2)}`]);
      else if (seen < leak) wrong.push([name, `too noisy: a hash of ${work} ms would not have shown`]);
    }
    return wrong;
  };
  // A machine that is busy with something else may spoil a round; a door that tells spoils every one.
  let wrong = await measure(Object.keys(doors));
  for (let round = 1; round < 3 && wrong.length > 0; ++round) wrong = await measure(wrong.map(([name]) => name));
  assert.deepEqual(wrong, []);
});

test("an unknown name costs the processor what a known one does, and only a throttled attempt is free", async () => {
  const server = await startServer({ settings: { "log.level": "warning", "compat.sinch_sdk": "true" } });
  const people = await population(server, 10);
  // Ten failures in a minute, and this place is throttled for the rest of it: its attempts are not hashed.
  const throttledPlace = newPlace();
  for (let i = 0; i < 10; ++i) await wrongPassword(newName(), throttledPlace)(server);
  const kinds = {
    known: (index) => wrongPassword(people[index].name),
    unknown: () => wrongPassword(newName()),
    "known address": (index) => wrongPassword(people[index].email),
    "unknown address": () => wrongPassword(newAddress()),
    "classic known": (index) => wrongAtClassic(people[index].name),
    "classic unknown": () => wrongAtClassic(newName()),
    throttled: (index) => wrongPassword(people[index].name, throttledPlace),
  };
  const spent = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]));
  // The kinds by turns, ten attempts at a time: the processor's clock counts in steps of 10 ms.
  for (let round = 0; round < 4; ++round) {
    for (const [kind, make] of Object.entries(kinds)) {
      const before = server.processorMs();
      for (let index = 0; index < people.length; ++index) await make(index)(server);
      spent[kind] += server.processorMs() - before;
    }
  }
  const told = JSON.stringify(spent);
  for (const kind of ["known address", "unknown", "unknown address", "classic known", "classic unknown"]) {
    assert.ok(spent[kind] > (spent.known * 2) / 3 && spent[kind] < (spent.known * 3) / 2, `${kind}: ${told}`);
  }
  assert.ok(spent.throttled < spent.known / 2, `throttled: ${told}`);
});
