// Names and passwords that no two tests share.
import crypto from "node:crypto";
import { plant } from "./secrets.mjs";

let count = 0;

export function newName(stem = "person") {
  return `${stem}-${process.pid}-${++count}`;
}

export function newPassword() {
  return plant("password", `pw ${crypto.randomBytes(15).toString("base64url")}`);
}

/** Somebody who has signed up: {client, name, password}. */
export async function newPerson(server, { stem, email, ...options } = {}) {
  const client = server.client(options);
  const person = { client, name: newName(stem), password: newPassword() };
  const answer = await client.signUp(person.name, person.password, email ? { email } : {});
  if (answer.status !== 303) throw new Error(`sign-up: ${answer.status} ${answer.body}`);
  return person;
}
