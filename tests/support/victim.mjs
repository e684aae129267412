// A server that is to be misused, and what holds whatever is done to it.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { root } from "./process.mjs";
import { RawConnection } from "./raw.mjs";
import { startServer } from "./server.mjs";
import { mint } from "./tickets.mjs";

const codes = JSON.parse(fs.readFileSync(path.join(root, "api/codes.json"), "utf8"));
const documented = new Map(codes.errors.map((row) => [row.number, row]));

/** A problem answer with a documented code and its documented text. */
export function assertProblem(answer, status, code) {
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  const problem = JSON.parse(answer.body);
  assert.equal(problem.code, code);
  assert.equal(problem.status, status);
  const row = documented.get(code);
  assert.equal(problem.title, row.text);
  assert.equal(problem.type, `urn:countersign:error:${row.name}`);
}

/** Deadlines in seconds, short ones. */
export const limits = { header: 1, body: 1, idle: 2, connectionsPerAddress: 40 };

export async function startVictim() {
  const server = await startServer({
    settings: {
      "limits.header_timeout_seconds": limits.header,
      "limits.body_timeout_seconds": limits.body,
      "limits.idle_timeout_seconds": limits.idle,
      "limits.max_connections_per_address": limits.connectionsPerAddress,
    },
  });
  let lastPlace = 0;
  /** An address for each test, so that none is counted against another. */
  const newPlace = () => {
    ++lastPlace;
    return `127.2.${lastPlace >> 8}.${lastPlace & 255}`;
  };
  return {
    server,
    newPlace,
    raw: () => RawConnection.open(server, { localAddress: newPlace() }),
    ticketFor: (username) => mint({ key: server.applicationKey, secret: server.applicationSecret, username }),
    async assertAlive() {
      assert.equal((await server.client({ localAddress: newPlace() }).get("/healthz")).status, 200);
    },
  };
}
