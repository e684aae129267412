// Two gateway nodes on one PostgreSQL with NATS between them: the real classic SDK polls at one and publishes at
// the other, whatever node made the keys, and goes on at the one that is left.
import assert from "node:assert/strict";
import test from "node:test";
import { ClassicClient, classicSettings, devCertificate, startedClient } from "../classic/support/client.mjs";
import { Cluster } from "../support/cluster.mjs";
import { Device } from "../support/inbox.mjs";
import { startNats } from "../support/nats.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";

const [postgres, nats, { ca }] = [await startPostgres(), await startNats(), await devCertificate()];
const cluster = await Cluster.start({ postgres, nats, settings: await classicSettings(), ca });
const [one, two] = await cluster.nodes(2);

test("a poll on one node, the publish on the other, and receipts all the way back", async () => {
  const [alice, bob] = [await startedClient(one, newName("alice")), await startedClient(two, newName("bob"))];
  await Promise.all([alice, bob].map((client) => client.polling()));
  const began = performance.now();
  const sent = await alice.send(bob.session.userId, "across the nodes");
  await bob.message("across the nodes");
  await alice.receipt(sent.id, bob.session.userId);
  const answer = await bob.send(alice.session.userId, "and back");
  await alice.message("and back");
  await bob.receipt(answer.id, alice.session.userId);
  assert.ok(performance.now() - began < 15_000, "news are told, not waited for");
  for (const each of [alice, bob]) each.close();
});

test("an instance made on one node starts from its saved session on the other, and its keys are good on both", async () => {
  const first = await startedClient(one, newName("alice"));
  const saved = first.session;
  const bob = await startedClient(one, newName("bob"));
  const second = new ClassicClient(two);
  await second.start({ ...saved });
  assert.deepEqual(second.sinch.user.mxpConfig.rtcProfile, first.sinch.user.mxpConfig.rtcProfile);
  await bob.send(saved.userId, "to both places");
  await Promise.all([first.message("to both places"), second.message("to both places")]);
  await second.send(bob.session.userId, "from the other node");
  await bob.message("from the other node");
  for (const each of [first, second, bob]) each.close();
});

test("several people on both nodes, classic and native, in one conversation", async () => {
  const [alice, bob] = [await startedClient(one, newName("alice")), await startedClient(two, newName("bob"))];
  const native = await Device.connect(two, newName("native"));
  const sent = await alice.send([bob.session.userId, native.name], "to both of you");
  await Promise.all([bob.message("to both of you"), native.message("to both of you")]);
  for (const name of [bob.session.userId, native.name]) await alice.receipt(sent.id, name);
  await native.sent(alice.session.userId, "from the native one");
  await alice.message("from the native one");
  for (const each of [alice, bob]) each.close();
});

test("without NATS it is slower, and nothing is lost", { timeout: 120_000 }, async () => {
  const [alice, bob] = [await startedClient(one, newName("alice")), await startedClient(two, newName("bob"))];
  await bob.polling();
  await nats.kill();
  const sent = await alice.send(bob.session.userId, "without a bus");
  await bob.message("without a bus", { ms: 60_000 });
  await nats.start();
  await alice.receipt(sent.id, bob.session.userId, { ms: 60_000 }); // who was not told reads after the gap
  const later = await alice.send(bob.session.userId, "with a bus again");
  await bob.message("with a bus again", { ms: 60_000 });
  await alice.receipt(later.id, bob.session.userId, { ms: 60_000 });
  for (const each of [alice, bob]) each.close();
});

test("a revocation on one node ends signed requests, polls and publishes on the other, within two seconds", async () => {
  const password = newPassword();
  const name = newName("ada");
  assert.equal((await one.client().signUp(name, password)).status, 303);
  const client = new ClassicClient(two);
  await client.start({ username: name, password });
  await client.polling();
  await cluster.command(one, ["user", "sign-out", name]);
  const at = performance.now();
  const profile = () => new Promise((resolve) => client.sinch.getUserProfile().then(() => true, () => false).then(resolve));
  while (await profile());
  assert.ok(performance.now() - at < 2_000, `it was still taken after ${performance.now() - at} ms`);
  // Polls and publishes end as soon; their clients are told later, so that they do not spin.
  await client.sandbox.answers.first(({ path: asked, body }) => asked.startsWith("/subscribe/") && /"error":/.test(body ?? ""), "the refusal of the held poll", { ms: 40_000 });
  await assert.rejects(client.send(newName("bob"), "too late"));
  client.close();
});

test("one node dies: who polled there goes on at the other, and hears what was sent meanwhile", { timeout: 120_000 }, async () => {
  const alice = await startedClient(two, newName("alice"));
  const bob = await startedClient(one, newName("bob"));
  const saved = bob.session;
  await bob.polling();
  await one.kill();
  bob.close();
  await alice.send(saved.userId, "while your node was dead");
  const again = new ClassicClient(two);
  await again.start({ ...saved });
  await again.message("while your node was dead");
  await one.restart();
  for (const each of [alice, again]) each.close();
});
