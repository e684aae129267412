// The classic door's own ways to an account: the same people, the same limits and the same silence as at the
// pages and at /api/auth.
import assert from "node:assert/strict";
import test from "node:test";
import { assertReadable, assertRefused, PlainClassic, rest, startClassicVictim } from "../support/classic.mjs";
import { ticketFor } from "../support/inbox.mjs";
import { newName, newPassword, newPerson } from "../support/people.mjs";

const server = await startClassicVictim();
const asApplication = { authorization: `application ${server.applicationKey}` };

let lastPlace = 1;
/** An address nobody has used: throttles count by address. */
function newPlace() {
  ++lastPlace;
  return `127.9.${lastPlace >> 8}.${lastPlace & 255}`;
}

/** Somebody without a session, at a place. */
function at(localAddress) {
  const client = new PlainClassic(server, "nobody", { localAddress });
  return {
    signUp: (person) => client.plain("POST", `${rest}users`, { ...asApplication, json: person }),
    signIn: (type, value, json) =>
      client.plain("POST", `${rest}users/${type}/${encodeURIComponent(value)}/authentication`, { ...asApplication, json }),
  };
}

const stranger = new PlainClassic(server, "nobody");
const { signUp, signIn } = at(newPlace());

/** All of an answer but what names the request. */
function flat({ status, headers, body }) {
  const { date, "x-request-id": id, ...others } = headers;
  return { status, others, body: body.replace(/"reference":"[^"]*"/, "REFERENCE") };
}

test("sign-up and sign-in give a ticket that gives an instance", async () => {
  const name = newName("ada");
  const password = newPassword();
  const email = `${name}@example.org`;
  const made = await signUp({ password, identities: [{ type: "username", endpoint: name }], profile: { contact: { email } } });
  assertReadable(made, 200);
  assert.deepEqual(made.json.user.identities, [{ type: "username", endpoint: name }]);
  await PlainClassic.start(server, name, { ticket: made.json.authorization });
  for (const [type, value] of [["username", name], ["email", email]]) {
    const answer = await signIn(type, value, { username: name, password, expiresIn: 60 });
    assertReadable(answer, 200);
    assert.deepEqual(answer.json.user.identities, [{ type: "username", endpoint: name }]);
    await PlainClassic.start(server, name, { ticket: answer.json.authorization });
  }
  const taken = await signUp({ password: newPassword(), identities: [{ type: "username", endpoint: name }] });
  assert.equal(Math.floor(taken.json.errorCode / 100), taken.status);
  assertReadable(taken, 422);
});

test("unknown name, unknown address, wrong password and throttled are one answer", async () => {
  const person = await newPerson(server);
  const wrong = await at(newPlace()).signIn("username", person.name, { password: newPassword() });
  assertRefused(wrong, 401, 40100);
  const unknown = await at(newPlace()).signIn("username", newName("nobody"), { password: newPassword() });
  const unknownAddress = await at(newPlace()).signIn("email", `${newName("nobody")}@example.org`, { password: newPassword() });
  const guesser = at(newPlace());
  for (let i = 0; i < 5; ++i) await guesser.signIn("username", person.name, { password: newPassword() });
  const throttled = await guesser.signIn("username", person.name, { password: person.password });
  for (const answer of [unknown, unknownAddress, throttled]) assert.deepEqual(flat(answer), flat(wrong));
  await server.logged({ event: "sign_in", result: "throttled" });
});

test("failures at this door count at the others, and theirs here; other places are not slowed", async () => {
  const one = await newPerson(server);
  const here = newPlace();
  for (let i = 0; i < 5; ++i) await at(here).signIn("username", one.name, { password: newPassword() });
  assert.equal((await server.client({ localAddress: here }).signIn(one.name, one.password)).status, 422);
  assert.equal((await server.client({ localAddress: newPlace() }).signIn(one.name, one.password)).status, 303);

  const other = await newPerson(server);
  const there = newPlace();
  for (let i = 0; i < 5; ++i) await server.client({ localAddress: there }).signIn(other.name, newPassword());
  assertReadable(await at(there).signIn("username", other.name, { password: other.password }), 401);
  assertReadable(await at(newPlace()).signIn("username", other.name, { password: other.password }), 200);
});

test("that somebody has an address is not told to who signs up with it", async () => {
  const person = await newPerson(server);
  const email = `${person.name}@example.org`;
  const make = (address) =>
    at(newPlace()).signUp({ password: newPassword(), identities: [{ type: "username", endpoint: newName() }, { type: "email", endpoint: address }] });
  const first = await make(email);
  const second = await make(email);
  const shape = ({ status, json }) => [status, Object.keys(json), Object.keys(json.user), json.user.identities.map(({ type }) => type)];
  assertReadable(first, 200);
  assert.deepEqual(shape(second), shape(first));
});

test("with sign-up closed nobody is made here either", async () => {
  const closed = await startClassicVictim({ settings: { "accounts.sign_up": "closed" } });
  const client = new PlainClassic(closed, "ada");
  const answer = await client.plain("POST", `${rest}users`, {
    authorization: `application ${closed.applicationKey}`,
    json: { password: newPassword(), identities: [{ type: "username", endpoint: newName() }] },
  });
  assertRefused(answer, 403, 40300);
});

test("bodies and names that are none are refused", async () => {
  for (const body of ["", "[]", "{}", '{"password":1}', "{", '{"password":"x"}']) {
    assertRefused(await stranger.plain("POST", `${rest}users`, { ...asApplication, body }), 400, 40001);
  }
  for (const identities of [[], [1], [{}], [{ type: "username" }], [{ type: "bird", endpoint: "x" }], Array(9).fill({ type: "username", endpoint: "x" })]) {
    assertRefused(await signUp({ password: newPassword(), identities }), 400, 40001);
  }
  assertReadable(await signUp({ password: newPassword(), identities: [{ type: "number", endpoint: "+46700000000" }] }), 501);
  assertReadable(await signIn("number", "+46700000000", { password: newPassword() }), 501);
  assertRefused(await signIn("bird", "x", { password: newPassword() }), 400, 40001);
  assertRefused(await signIn("username", "x", {}), 400, 40001);
  for (const endpoint of ["a@b", "", " x", "a\nb", "x".repeat(300)]) {
    const answer = await signUp({ password: newPassword(), identities: [{ type: "username", endpoint }] });
    assert.ok([400, 422].includes(answer.status), `${endpoint}: ${answer.status}`);
    assertReadable(answer, answer.status);
  }
  for (const authorization of [undefined, "application x", `user ${ticketFor(server, "ada")}`]) {
    const answer = await stranger.plain("POST", `${rest}users`, { authorization, json: {} });
    assertRefused(answer, 401, 40100);
  }
});

test("they can be switched off, and the rest goes on", async () => {
  const closed = await startClassicVictim({ settings: { "compat.sinch_accounts": "false" } });
  const client = new PlainClassic(closed, "ada");
  const authorization = `application ${closed.applicationKey}`;
  for (const path of ["users", "users/username/ada/authentication"]) {
    const answer = await client.plain("POST", rest + path, { authorization, json: { password: newPassword() } });
    assertReadable(answer, 501);
    assert.equal(answer.json.errorCode, 50100);
  }
  await PlainClassic.start(closed, newName("ada"));
});
