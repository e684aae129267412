// The classic SDK and the native one in one conversation: one mailbox, whoever reads it with what.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import test from "node:test";
import { ClassicClient, startClassicServer, startedClient } from "../classic/support/client.mjs";
import { Device, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";

const server = await startClassicServer();

async function pair() {
  const [classic, native] = [newName("classic"), newName("native")];
  return { classic: await startedClient(server, classic), native: await Device.connect(server, native), names: { classic, native } };
}

/** The receipts of a device for one person: the highest delivered number, once it is at least `wanted`. */
function delivered(device, name, wanted) {
  return device.gateway.objects.first(({ push }) => push?.receipts?.user?.endpoint === name && push.receipts.delivered >= wanted, `the receipt of ${name} up to ${wanted}`);
}

test("both directions, with receipts across", async () => {
  const { classic, native, names } = await pair();
  const sent = await classic.send(names.native, "from the classic SDK");
  const entry = await native.message("from the classic SDK");
  assert.deepEqual(entry.from, user(names.classic));
  assert.equal(entry.msg_id, sent.id);
  await classic.receipt(sent.id, names.native);
  const answer = await native.sent(names.classic, "from the native one");
  const heard = await classic.message("from the native one");
  assert.equal(heard.from, names.native);
  assert.deepEqual(heard.to, [names.classic, names.native].sort());
  await delivered(native, names.classic, answer.seq);
  assert.equal(answer.conv, entry.conv, "one conversation");
  classic.close();
});

test("the native one is offline in between, and finds everything in order", async () => {
  const { classic, native, names } = await pair();
  await classic.send(names.native, "before");
  await native.message("before");
  await native.drop();
  const ids = [];
  for (const text of ["one", "two", "three"]) ids.push((await classic.send(names.native, text)).id);
  const back = await native.again();
  await back.message("three");
  assert.deepEqual(back.texts(), ["one", "two", "three"]);
  for (const id of ids) await classic.receipt(id, names.native);
  classic.close();
});

test("the classic one is offline in between, and finds everything", async () => {
  const { classic, native, names } = await pair();
  await native.sent(names.classic, "before");
  await classic.message("before");
  const saved = classic.session;
  classic.close();
  const sent = [];
  for (const text of ["one", "two", "three"]) sent.push(await native.sent(names.classic, text));
  const back = new ClassicClient(server);
  await back.start({ ...saved });
  for (const text of ["one", "two", "three"]) await back.message(text);
  assert.deepEqual(back.texts().filter((text) => text !== "before").sort(), ["one", "three", "two"]);
  await delivered(native, names.classic, sent.at(-1).seq);
  back.close();
});

test("a person with a tab of each kind hears in both, and each shows what the other sent", async () => {
  const { classic, native, names } = await pair();
  const second = await Device.connect(server, names.classic, { device: "native-tab" });
  await native.sent(names.classic, "to your two kinds of tabs");
  await Promise.all([classic.message("to your two kinds of tabs"), second.message("to your two kinds of tabs")]);
  await classic.send(names.native, "sent from the classic tab");
  assert.equal((await second.message("sent from the classic tab")).kind, "sent");
  await second.sent(names.native, "sent from the native tab");
  assert.equal((await classic.ownCopy("sent from the native tab")).from, names.classic);
  await native.message("sent from the native tab");
  classic.close();
});

test("several people of both kinds in one conversation", async () => {
  const { classic, native, names } = await pair();
  const third = await startedClient(server, newName("third"));
  const all = [names.classic, names.native, third.session.userId].sort();
  const sent = await classic.send([names.native, third.session.userId], "to both of you");
  const entry = await native.message("to both of you");
  await third.message("to both of you");
  for (const name of all.filter((each) => each !== names.classic)) await classic.receipt(sent.id, name);
  assert.deepEqual((entry.to ?? []).map(({ endpoint }) => endpoint).sort(), all);
  const answer = await native.send({ conv: entry.conv }, "to all of you");
  assert.ok(answer.send, JSON.stringify(answer));
  for (const each of [classic, third]) {
    const heard = await each.message("to all of you");
    assert.equal(heard.from, names.native);
    assert.deepEqual(heard.to, all);
  }
  await Promise.all([classic, third].map((each) => delivered(native, each.session.userId, answer.send.seq)));
  classic.close();
  third.close();
});

test("what the other kind cannot show is no hole: headers, attachments, a group's doings, long texts", async () => {
  const { classic, native, names } = await pair();
  await native.sent(names.classic, "with headers", { headers: { colour: "green" } });
  await native.sent(names.classic, "with a file", { attachments: [{ url: "https://files.example.org/plan.pdf", name: "plan.pdf" }] });
  await native.sent(names.classic, "漢".repeat(10_000));
  const group = await native.gateway.command("group", { msg_id: crypto.randomUUID(), action: "create", name: "Friends", users: [user(names.classic)] });
  assert.ok(group.group, JSON.stringify(group));
  const said = await native.send({ conv: group.group.conv }, "in the group");
  assert.ok(said.send, JSON.stringify(said));
  await native.sent(names.classic, "after all that");
  await classic.message("after all that");
  const heard = (text) => classic.messages.all.find((message) => message.text === text);
  assert.equal(heard("with headers").headers, '{"colour":"green"}');
  assert.ok(heard("with a file\nhttps://files.example.org/plan.pdf"), "attachments come as their addresses");
  assert.ok(classic.texts().includes("漢".repeat(10_000)));
  classic.close();
});

test("a blocked sender is refused by the classic SDK's own error", async () => {
  const { classic, native, names } = await pair();
  await native.gateway.command("block", { user: user(names.classic) });
  await assert.rejects(classic.send(names.native, "let me in"));
  // After the first refusal PubNub goes on with what it has queued: the same frame for the next channel.
  const refusals = () => classic.sandbox.answers.all.filter(({ path, status }) => path.startsWith("/publish/") && status === 403).length;
  await classic.sandbox.answers.first(() => refusals() === 2, "the refusal of both publishes");
  await native.gateway.command("unblock", { user: user(names.classic) });
  await classic.send(names.native, "thank you");
  await native.message("thank you");
  assert.ok(!native.texts().includes("let me in"));
  classic.close();
});
