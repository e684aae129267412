// With the password pool saturated, sign-ins are refused past its queue, and everything else goes on.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { Gateway } from "../support/websocket.mjs";

// One thread that hashes, slowly: a queue of four behind it.
const server = await startServer({
  settings: {
    "accounts.argon2_memory_kib": 65536,
    "accounts.argon2_passes": 6,
    "accounts.password_pool_memory_mib": 64,
    "limits.max_connections_per_address": 5000,
  },
});

test("sign-ins get 503 with Retry-After; tickets, pages and pings go on, and the owner gets in", async () => {
  const owner = await newPerson(server);
  const gateway = await Gateway.connect(server, await owner.client.ticket());
  let flooding = true;
  const tally = { busy: 0, refused: 0, other: [] };
  const flood = async (index) => {
    for (let i = 0; flooding; ++i) {
      const client = server.client({ localAddress: `127.3.${index}.${(i % 250) + 1}` });
      const answer = await client.signIn(newName("nobody"), newPassword());
      client.close();
      if (answer.status === 503) {
        ++tally.busy;
        assert.equal(answer.headers["retry-after"], "1");
      } else if (answer.status === 422) {
        ++tally.refused;
      } else {
        tally.other.push(answer.status);
      }
    }
  };
  const flooders = Array.from({ length: 16 }, (_, index) => flood(index));

  // While it lasts: tickets, pings and pages, each quickly.
  const times = [];
  const timed = async (work) => {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  };
  for (let i = 0; i < 60; ++i) {
    await timed(async () => assert.equal((await owner.client.post("/v1/tickets", { json: {} })).status, 200));
    await timed(async () => assert.deepEqual((await gateway.command("ping")).ping, {}));
    await timed(async () => assert.equal((await owner.client.get("/healthz")).status, 200));
  }
  const again = await owner.client.signIn(owner.name, owner.password);
  flooding = false;
  await Promise.all(flooders);
  assert.equal(again.status, 303, "a quarter of the queue is kept for known devices");
  assert.ok(tally.busy > 0, "nobody was refused");
  assert.ok(tally.refused > 0, "nobody was served");
  assert.deepEqual(tally.other, []);
  times.sort((a, b) => a - b);
  const slow = times[Math.floor(times.length * 0.95)];
  assert.ok(slow < 500, `one in twenty took ${Math.round(slow)} ms`);
  await gateway.close();
});

test("/api/auth tells the same in JSON", async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      server
        .client({ localAddress: `127.4.0.${index + 1}` })
        .post("/api/auth", { json: { username: newName("nobody"), password: newPassword() }, site: null }),
    ),
  );
  const busy = answers.filter((answer) => answer.status === 503);
  assert.ok(busy.length > 0);
  for (const answer of busy) {
    assert.equal(answer.json.code, 617);
    assert.equal(answer.headers["retry-after"], "1");
  }
  for (const answer of answers) assert.ok([503, 403].includes(answer.status), `${answer.status}`);
});
