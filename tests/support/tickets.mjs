// An independent implementation of user tickets, on nothing but Node's own crypto.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { plant } from "./secrets.mjs";

export function sign(payload, secret) {
  return crypto.createHmac("sha256", Buffer.from(secret, "base64")).update(payload).digest("base64");
}

/** A ticket of the members given. */
export function mint({ key, secret, username, identity, created = new Date(), expiresIn = 3600, ...more }) {
  const payload = JSON.stringify({
    identity: identity ?? { type: "username", endpoint: username },
    expiresIn,
    applicationKey: key,
    created: (created instanceof Date ? created : new Date(created)).toISOString(),
    ...more,
  });
  return plant("ticket", `${Buffer.from(payload).toString("base64")}:${sign(payload, secret)}`);
}

/** Checks the signature and gives what the ticket says. */
export function verify(ticket, { key, secret }) {
  const [data, signature, ...rest] = ticket.split(":");
  assert.equal(rest.length, 0);
  const payload = Buffer.from(data, "base64");
  assert.equal(payload.toString("base64"), data, "the payload is canonical base64");
  assert.equal(signature, sign(payload, secret), "the signature");
  const claims = JSON.parse(payload.toString());
  assert.equal(claims.applicationKey, key);
  const created = Date.parse(claims.created);
  assert.ok(created <= Date.now() + 2_000 && created > Date.now() - 60_000, `created ${claims.created}`);
  return claims;
}
