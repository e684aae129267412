// kill -9 of the server while real classic clients are connected and sending: nothing acknowledged is lost,
// nothing comes twice to a listener, and clients come back by themselves.
import assert from "node:assert/strict";
import test from "node:test";
import { startClassicServer, startedClient } from "../classic/support/client.mjs";
import { Device } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { Arrivals } from "../support/waiting.mjs";

/** Sends one message after the other, as long as it is told to: what was accepted and what was not. */
class Sender {
  accepted = new Arrivals();
  refused = [];
  goesOn = true;

  constructor(client, to, label) {
    this.done = this.#work(client, to, label);
  }

  async #work(client, to, label) {
    for (let number = 1; this.goesOn; ++number) {
      const text = `${label} ${number}`;
      // An application may rely on what the SDK confirms, which it does when every publish was answered.
      await client.sending(to, text).done.then(
        () => this.accepted.add(text),
        () => this.refused.push(text),
      );
    }
  }

  /** One more message is accepted. */
  next() {
    return this.accepted.first(() => true, "a message that is accepted", { from: this.accepted.all.length, ms: 60_000 });
  }
}

test("kill -9, three times, while four clients send: every accepted message is heard once", { timeout: 280_000 }, async () => {
  const server = await startClassicServer();
  const names = ["alice", "bob", "carol", "dave"].map((stem) => newName(stem));
  const clients = await Promise.all(names.map((name) => startedClient(server, name)));
  const native = await Device.connect(server, newName("native"));
  const senders = clients.map((client, index) => new Sender(client, [names[(index + 1) % 4], native.name], `from ${index}`));
  for (let round = 1; round <= 3; ++round) {
    await Promise.all(senders.map((sender) => sender.next()));
    await server.kill();
    await server.restart();
  }
  await Promise.all(senders.map((sender) => sender.next()));
  for (const sender of senders) sender.goesOn = false;
  await Promise.all(senders.map((sender) => sender.done));
  assert.ok(senders.some(({ refused }) => refused.length > 0), "the kills hit somebody in the middle of a send");
  const back = await native.again();
  for (const [index, { accepted }] of senders.entries()) {
    const receiver = clients[(index + 1) % 4];
    for (const text of accepted.all) {
      await receiver.message(text, { ms: 60_000 });
      if (!native.texts().includes(text)) await back.message(text);
    }
    const heard = receiver.texts().filter((text) => text.startsWith(`from ${index} `));
    assert.deepEqual(heard, [...new Set(heard)], "nothing twice");
  }
  for (const client of clients) client.close();
});

test("a server that is stopped in order: polls end, clients wait for it, and go on", { timeout: 120_000 }, async () => {
  const server = await startClassicServer();
  const [alice, bob] = await Promise.all(["alice", "bob"].map((stem) => startedClient(server, newName(stem))));
  await bob.polling();
  const began = performance.now();
  assert.equal((await server.stop()).code, 0);
  assert.ok(performance.now() - began < 3_000, "held polls do not keep it");
  await assert.rejects(alice.send(bob.session.userId, "into nothing"));
  await server.restart();
  const sent = await alice.send(bob.session.userId, "it is back");
  await bob.message("it is back", { ms: 40_000 });
  await alice.receipt(sent.id, bob.session.userId, { ms: 40_000 });
  alice.close();
  bob.close();
});

test("a long message whose sender dies in the middle is no message, and the next one is whole", async () => {
  const server = await startClassicServer();
  const [alice, bob] = await Promise.all(["alice", "bob"].map((stem) => startedClient(server, newName(stem))));
  await alice.send(bob.session.userId, "first");
  const published = alice.sandbox.answers.all.length;
  alice.sending(bob.session.userId, `half ${"y".repeat(20_000)}`).done.catch(() => {});
  await alice.sandbox.answers.first(({ path }) => path.startsWith("/publish/"), "the first part", { from: published });
  await server.kill();
  alice.close();
  await server.restart();
  const again = await startedClient(server, alice.session.userId);
  const whole = `whole ${"z".repeat(20_000)}`;
  await again.send(bob.session.userId, whole);
  await bob.message(whole, { ms: 60_000 });
  assert.ok(!bob.texts().some((text) => text.startsWith("half")));
  again.close();
  bob.close();
});
