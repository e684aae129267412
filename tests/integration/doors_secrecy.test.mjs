// The doors tell strangers nothing by their answers (nor by time: doors_timing.test.mjs), and slow those who
// guess, never the owner.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";

const server = await startServer();

let lastPlace = 1;
/** An address nobody has used: throttles count by address. */
function newPlace() {
  ++lastPlace;
  return `127.7.${lastPlace >> 8}.${lastPlace & 255}`;
}

function stranger(of = server) {
  return of.client({ localAddress: newPlace() });
}

function flat(answer) {
  const { date, "x-request-id": id, "set-cookie": cookies = [], ...headers } = answer.headers;
  const names = cookies.map((line) => line.replace(/=[^;]*/, "=…"));
  const body = answer.body.replaceAll(id ?? "\0", "ID").replaceAll(/name="csrf_token" value="[^"]*"/g, "TOKEN");
  return { status: answer.status, headers, cookies: names, body };
}

test("sign-in: unknown name, wrong password and throttled are one answer", async () => {
  const person = await newPerson(server);
  const wrong = await stranger().signIn(person.name, newPassword());
  const unknownName = person.name.replace("person", "nobody"); // as long: the page shows the name again
  const unknown = await stranger().signIn(unknownName, newPassword());
  assert.equal(wrong.status, 422);
  const same = (answer, name) => JSON.stringify(flat(answer)).replaceAll(name, "NAME");
  assert.equal(same(wrong, person.name), same(unknown, unknownName));

  const guesser = stranger();
  for (let i = 0; i < 5; ++i) await guesser.signIn(person.name, newPassword());
  guesser.cookies.clear();
  const throttled = await guesser.signIn(person.name, person.password);
  assert.equal(same(throttled, person.name), same(wrong, person.name), "the right password, throttled");
  assert.equal(throttled.headers["retry-after"], undefined);
  await server.logged({ event: "sign_in", result: "throttled" });

  const json = { headers: { accept: "application/json" } };
  const problem = await stranger().post("/users/sign_in", { json: { username: unknownName, password: newPassword() }, ...json });
  assert.equal(problem.status, 401);
  assert.equal(problem.json.code, 600);
  assert.ok(problem.headers["www-authenticate"]);
});

test("throttle: the fifth failure from one place closes the account to that place, not to others", async () => {
  const person = await newPerson(server);
  const guesser = stranger();
  for (let i = 0; i < 5; ++i) assert.equal((await guesser.signIn(person.name, newPassword())).status, 422);
  assert.equal((await guesser.signIn(person.name, person.password)).status, 422);
  assert.equal((await stranger().signIn(person.name, person.password)).status, 303);
});

test("throttle: a known device is not kept out by the failures of others at the same place", async () => {
  const place = newPlace();
  const owner = await newPerson(server, { localAddress: place });
  const guesser = server.client({ localAddress: place });
  // Both rules: four failures at the account, and ten of the place, which bind for the whole minute.
  for (let i = 0; i < 4; ++i) await guesser.signIn(owner.name, newPassword());
  for (let i = 0; i < 6; ++i) await guesser.signIn(newName("nobody"), newPassword());
  assert.equal((await guesser.signIn(owner.name, owner.password)).status, 422);
  await owner.client.signOut();
  assert.ok(owner.client.cookie("device"), "the device is known after signing out too");
  assert.equal((await owner.client.signIn(owner.name, owner.password)).status, 303);
});

test("throttle: a known device has ten tries, then it is a stranger", async () => {
  const owner = await newPerson(server, { localAddress: newPlace() });
  await owner.client.signOut();
  for (let i = 0; i < 10; ++i) {
    assert.equal((await owner.client.signIn(owner.name, newPassword())).status, 422);
  }
  for (let i = 0; i < 5; ++i) await owner.client.signIn(owner.name, newPassword());
  assert.equal((await owner.client.signIn(owner.name, owner.password)).status, 422);
  assert.equal((await server.command(["user", "unlock", owner.name])).code, 0);
  owner.client.forget("device");
  assert.equal((await stranger().signIn(owner.name, owner.password)).status, 303);
});

test("throttle: one place may fail ten times a minute, over all accounts", async () => {
  const guesser = stranger();
  const person = await newPerson(server);
  for (let i = 0; i < 10; ++i) await guesser.signIn(newName("nobody"), newPassword());
  assert.equal((await guesser.signIn(person.name, person.password)).status, 422);
  assert.equal((await stranger().signIn(person.name, person.password)).status, 303);
});

test("throttle: parallel guesses are counted before they are judged", async () => {
  const person = await newPerson(server);
  const place = newPlace();
  const guesses = Array.from({ length: 6 }, () => server.client({ localAddress: place }));
  await Promise.all(guesses.map((guesser) => guesser.signIn(person.name, newPassword())));
  const right = await server.client({ localAddress: place }).signIn(person.name, person.password);
  assert.equal(right.status, 422);
});

test("sign-up: taken names are told and throttled; sign-ups from one address are limited", async () => {
  const limited = await startServer({ settings: { "accounts.sign_ups_per_hour": 2 } });
  const client = limited.client();
  for (const status of [303, 303, 429]) {
    const answer = await limited.client().signUp(newName(), newPassword());
    assert.equal(answer.status, status);
    if (status === 429) assert.equal(answer.headers["retry-after"], "3600");
  }
  assert.equal((await limited.client({ localAddress: newPlace() }).signUp(newName(), newPassword())).status, 303);
  assert.equal((await client.get("/users/sign_up")).status, 200);

  const person = await newPerson(server);
  const taken = await stranger().signUp(person.name, newPassword());
  assert.equal(taken.status, 422);
  assert.match(taken.body, /This user name is taken/);
});

test("sign-up tells which rule a password breaks", async () => {
  const name = newName();
  for (const [password, code] of [
    ["short one", 609],
    ["x".repeat(1025), 610],
    ["passwordpassword", 611],
    [`${name} ${name}`, 612],
  ]) {
    const answer = await stranger().post("/users/sign_up", {
      json: { username: name, password },
      headers: { accept: "application/json" },
    });
    assert.deepEqual([answer.status, answer.json.code], [422, code], password.slice(0, 20));
  }
});

test("an address that somebody has is not told to strangers", async () => {
  const email = `taken.${Date.now()}@example.org`;
  await newPerson(server, { email });
  const answers = [];
  for (const address of [email, `free.${Date.now()}@example.org`]) {
    answers.push(await stranger().signUp(newName(), newPassword(), { email: address }));
  }
  assert.equal(answers[0].status, 303);
  assert.deepEqual(flat(answers[0]), flat(answers[1]));
});

test("sign_up = closed: no form, no account, no link", async () => {
  const closed = await startServer({ settings: { "accounts.sign_up": "closed" } });
  const client = closed.client();
  assert.equal((await client.get("/users/sign_up")).status, 403);
  const answer = await client.signUp(newName(), newPassword());
  assert.equal(answer.status, 403);
  assert.doesNotMatch((await client.get("/users/sign_in")).body, /sign_up/);
  const name = newName();
  const password = newPassword();
  assert.equal((await closed.command(["user", "add", name], { input: `${password}\n` })).code, 0);
  assert.equal((await client.signIn(name, password)).status, 303);
});
