// Backups of a server's store, and people whose messages are in it.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Device } from "./inbox.mjs";
import { newName } from "./people.mjs";
import { execute, temporaryFolder } from "./process.mjs";

export const settings = { "messages.unknown_users": "keep", "limits.messages_per_second": 10000, "limits.commands_per_second": 10000 };
export const storeOf = (server) => path.join(server.dataDir, "countersign.db");
export const newFile = (name = "countersign.db") => path.join(temporaryFolder("backup"), name);

export async function done(promise) {
  const result = await promise;
  assert.equal(result.code, 0, result.stderr);
  return result;
}

export const backUp = async (server, file = newFile()) => {
  await done(server.command(["backup", file]));
  return file;
};
export const restore = (server, file, ...more) => server.command(["restore", file, "--json", ...more]);

/** Runs SQL on a database file, and gives what it printed. */
export async function sql(file, text) {
  return (await done(execute("sqlite3", [file, text]))).stdout.trim();
}

/** Two people who have talked: `count` messages, each acknowledged. */
export async function people(server, count = 5) {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const sender = await Device.connect(server, ann);
  const reader = await Device.connect(server, bob);
  for (let i = 0; i < count; ++i) await sender.sent(bob, `before ${i}`);
  if (count > 0) await reader.message(`before ${count - 1}`);
  await reader.ack();
  return { ann, bob, sender, reader };
}

/** What lies beside the store and was not there before. */
export const beside = (server) => fs.readdirSync(server.dataDir).filter((name) => /partial|restor|rehearsal/.test(name));
