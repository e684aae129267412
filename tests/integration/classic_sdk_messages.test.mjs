// The real classic SDK in Node: messages of every kind with their receipts, several tabs, people who were away,
// and people who pretend to be somebody else.
import assert from "node:assert/strict";
import test from "node:test";
import { ClassicBrowser, ClassicClient, startClassicServer, startedClient } from "../classic/support/client.mjs";
import { versions } from "../classic/support/package.mjs";
import { Backend } from "../support/application.mjs";
import { messageId, ticketFor, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";

const server = await startClassicServer();

/** Started clients with names of their own. */
function people(...stems) {
  return Promise.all(stems.map((stem) => startedClient(server, newName(stem))));
}

const nameOf = (client) => client.session.userId;
const close = (...clients) => clients.forEach((client) => client.close());

for (const version of Object.keys(versions)) {
  test(`${version}: a text each way, the sender's own copy, a receipt each way`, async () => {
    const [alice, bob] = await Promise.all(["alice", "bob"].map((stem) => startedClient(server, newName(stem), { version })));
    const sent = await alice.send(nameOf(bob), "hello, Bob");
    const heard = await bob.message("hello, Bob");
    assert.deepEqual(heard, { id: sent.id, text: "hello, Bob", from: nameOf(alice), to: [nameOf(alice), nameOf(bob)].sort(), headers: undefined, outgoing: false });
    await alice.receipt(sent.id, nameOf(bob));
    const own = await alice.ownCopy("hello, Bob");
    assert.equal(own.id, sent.id);
    const answer = await bob.send(nameOf(alice), "hello, Alice");
    await alice.message("hello, Alice");
    await bob.receipt(answer.id, nameOf(alice));
    assert.equal(bob.texts().filter((text) => text === "hello, Bob").length, 1);
    assert.deepEqual(alice.sandbox.console, []);
    assert.deepEqual(bob.sandbox.console, []);
    close(alice, bob);
  });
}

const texts = {
  "one letter": "x",
  "blanks at both ends": "  a  b  ",
  "line ends and tabs": "one\r\ntwo\n\tthree",
  quotation: `"quoted" 'twice' \\ / { } [ ] } { % %2F + ? # &amp; <b>`,
  "JSON in itself": JSON.stringify({ t: "not this", bd: "{}" }),
  "other alphabets": "Zoë, Ελληνικά, русский, עברית, العربية, हिन्दी, 漢字, 日本語, 한국어",
  emoji: "👩‍👩‍👧 😀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 e\u0301",
  "invisible and backwards": "a\u200bb\u202ec\u2028d\u2029e\u0085",
  "a controlled one": "bell \u0007 escape \u001b delete \u007f",
};

for (const [what, text] of Object.entries(texts)) {
  test(`a text comes as it was sent: ${what}`, async () => {
    const [alice, bob] = await people("alice", "bob");
    const sent = await alice.send(nameOf(bob), text);
    const heard = await bob.message(text);
    assert.equal(heard.id, sent.id);
    await alice.receipt(sent.id, nameOf(bob));
    close(alice, bob);
  });
}

test("long texts come in one piece, of 1 to 32 kB, and one that is too long is refused", async () => {
  const [alice, bob] = await people("alice", "bob");
  for (const length of [1_000, 5_000, 20_000, 32_000]) {
    const text = `${length}: ${"漢字 and letters. ".repeat(length)}`.slice(0, length / 2);
    const sent = await alice.send(nameOf(bob), text);
    await bob.message(text, { ms: 60_000 });
    await alice.receipt(sent.id, nameOf(bob));
  }
  await assert.rejects(alice.send(nameOf(bob), "x".repeat(200_000)));
  const after = await alice.send(nameOf(bob), "and after it");
  await bob.message("and after it");
  await alice.receipt(after.id, nameOf(bob));
  close(alice, bob);
});

test("headers come with the message", async () => {
  const [alice, bob] = await people("alice", "bob");
  await alice.send(nameOf(bob), "with headers", JSON.stringify({ colour: "grün", size: 7 }));
  const heard = await bob.message("with headers");
  assert.equal(heard.headers, JSON.stringify({ colour: "grün", size: 7 }));
  close(alice, bob);
});

test("many messages come once each, in order, with a receipt for every one", async () => {
  const [alice, bob] = await people("alice", "bob");
  // As long as a receiver has not fetched the transport's key, it fetches it for every message anew, and hears
  // them in the order of the answers.
  await alice.send(nameOf(bob), "so that you know the key");
  await bob.message("so that you know the key");
  const sends = [];
  for (let number = 1; number <= 30; ++number) sends.push(alice.sending(nameOf(bob), `number ${number}`));
  await Promise.all(sends.map(({ done }) => done));
  await bob.message("number 30");
  assert.deepEqual(bob.texts().slice(1), sends.map((_, index) => `number ${index + 1}`));
  for (const { id } of sends) await alice.receipt(id, nameOf(bob));
  close(alice, bob);
});

test("to several people: everybody gets it, sees who else did, and answers; receipts name each", async () => {
  const [alice, bob, carol, dave] = await people("alice", "bob", "carol", "dave");
  const others = [bob, carol, dave].map(nameOf);
  const sent = await alice.send(others, "to all of you");
  const everybody = [alice, bob, carol, dave].map(nameOf).sort();
  for (const each of [bob, carol, dave]) {
    const heard = await each.message("to all of you");
    assert.deepEqual(heard.to, everybody);
    assert.equal(heard.from, nameOf(alice));
    await alice.receipt(sent.id, nameOf(each));
  }
  const answer = await carol.send(everybody, "an answer to all");
  for (const each of [alice, bob, dave]) {
    await each.message("an answer to all");
    await carol.receipt(answer.id, nameOf(each));
  }
  const apart = await dave.send(nameOf(bob), "between us");
  await bob.message("between us");
  await dave.receipt(apart.id, nameOf(bob));
  assert.ok(!carol.texts().includes("between us") && !alice.texts().includes("between us"));
  close(alice, bob, carol, dave);
});

test("somebody who is unknown is reported by the SDK as such, alone or among others", async () => {
  const [alice, bob] = await people("alice", "bob");
  for (const to of [newName("nobody"), [nameOf(bob), newName("nobody")], "*", "../../x", "a,b"]) {
    await assert.rejects(alice.send(to, "are you there?"), /User does not exist/, JSON.stringify(to));
  }
  assert.deepEqual(bob.messages.all, [], "nothing was sent to the one who is known");
  await alice.send(nameOf(bob), "you are");
  await bob.message("you are");
  close(alice, bob);
});

test("a message to oneself settles, one way or the other", async () => {
  const [alice] = await people("alice");
  await alice.send(nameOf(alice), "a note").catch(() => {});
  close(alice);
});

test("two tabs and another browser of one user: all of them hear, and the other ones show what one sent", async () => {
  const name = newName("alice");
  const bob = await startedClient(server, newName("bob"));
  const browser = new ClassicBrowser(server);
  const tabs = [browser.tab(), browser.tab()];
  for (const tab of tabs) await tab.start({ userTicket: ticketFor(server, name) });
  const elsewhere = await startedClient(server, name);
  assert.notEqual(elsewhere.session.sessionId, tabs[0].session.sessionId);
  const sent = await bob.send(name, "to all your devices");
  for (const each of [...tabs, elsewhere]) await each.message("to all your devices");
  await bob.receipt(sent.id, name);
  await tabs[0].send(nameOf(bob), "from the first tab");
  await bob.message("from the first tab");
  for (const each of [...tabs, elsewhere]) assert.equal((await each.ownCopy("from the first tab")).outgoing, true);
  assert.equal(bob.receipts.all.filter(({ to }) => to === name).length, 1, "the SDK counts users once");
  close(bob, elsewhere, ...tabs);
});

test("somebody who was away gets it all when they return, once, and the receipts go out then", async () => {
  const [alice, bob] = await people("alice", "bob");
  const name = nameOf(bob);
  const saved = bob.session;
  bob.close();
  const sends = [];
  for (let number = 1; number <= 5; ++number) sends.push(await alice.send(name, `while you were away ${number}`));
  assert.deepEqual(alice.receipts.all, []);
  const again = new ClassicClient(server);
  await again.start({ ...saved });
  const all = [1, 2, 3, 4, 5].map((number) => `while you were away ${number}`);
  for (const text of all) await again.message(text);
  assert.deepEqual(again.texts().sort(), all);
  for (const { id } of sends) await alice.receipt(id, name);
  close(alice, again);
});

test("receipts find a sender who was away", async () => {
  const [alice, bob] = await people("alice", "bob");
  const saved = alice.session;
  bob.close();
  const sent = await alice.send(nameOf(bob), "read this later");
  alice.close();
  const later = new ClassicClient(server);
  await later.start({ ...bob.session });
  await later.message("read this later");
  await later.answered("GET", /^\/publish\//);
  const back = new ClassicClient(server);
  await back.start({ ...saved });
  await back.receipt(sent.id, nameOf(bob));
  close(later, back);
});

test("a tab that comes back after a break of its network goes on where it stood", async () => {
  const [alice, bob] = await people("alice", "bob");
  await bob.polling();
  bob.sandbox.breakNetwork();
  const sent = await alice.send(nameOf(bob), "into the silence");
  bob.sandbox.mendNetwork();
  await bob.message("into the silence", { ms: 30_000 });
  await alice.receipt(sent.id, nameOf(bob));
  assert.equal(bob.texts().filter((text) => text === "into the silence").length, 1);
  close(alice, bob);
});

test("who says to be somebody else in a frame is refused, and nobody hears it", async () => {
  const [alice, bob, eve] = await people("alice", "bob", "eve");
  await eve.send(nameOf(bob), "in my own name");
  await bob.message("in my own name");
  // Only what the SDK writes into frames; its keys are still its own.
  eve.sinch.user = Object.assign(Object.create(eve.sinch.user), { userId: nameOf(alice) });
  eve.sinch.mxp.user = eve.sinch.user;
  await assert.rejects(eve.send(nameOf(bob), "in Alice's name"));
  const probe = await alice.send(nameOf(bob), "the true Alice");
  await bob.message("the true Alice");
  await alice.receipt(probe.id, nameOf(bob));
  assert.ok(!bob.texts().includes("in Alice's name"));
  close(alice, bob, eve);
});

test("another person's channel is not to be listened to, nor published to with a key of one's own", async () => {
  const [alice, bob, eve] = await people("alice", "bob", "eve");
  const profile = ({ sinch }) => sinch.user.mxpConfig.rtcProfile;
  eve.sinch.mxp.broadcastPubNub.subscribe({ channel: profile(alice).transportChannel, callback: (frame) => eve.messages.add({ text: frame, outgoing: false }), error: () => {} });
  const refused = await eve.sandbox.answers.first(({ path, body }) => path.startsWith("/subscribe/") && path.includes(profile(alice).transportChannel) && /"error":/.test(body ?? ""), "the refusal of a foreign channel");
  assert.ok(JSON.parse(refused.body).error);
  await bob.send(nameOf(alice), "for Alice alone");
  await alice.message("for Alice alone");
  assert.deepEqual(eve.messages.all, []);
  const published = await new Promise((resolve) =>
    bob.sinch.mxp.broadcastPubNub.publish({ channel: profile(eve).signalChannel, message: "10 x - 0 1 AAAA", callback: resolve, error: resolve }),
  );
  assert.ok(!Array.isArray(published) || published[0] !== 1, JSON.stringify(published));
  close(alice, bob, eve);
});

test("the report of the running client, which it makes every 30 s, is signed and taken", async () => {
  const [alice, bob] = await people("alice", "bob");
  await alice.send(nameOf(bob), "something to report");
  alice.sinch.getMessageClient().commitLog();
  const report = await alice.answered("POST", /\/report\/im$/);
  assert.equal(report.status, 200, report.body);
  assert.match(report.headers.Authorization, /^instance /);
  close(alice, bob);
});

test("a page that calls a group finds nobody there, and goes on hearing what is written to it", async () => {
  const [alice, bob] = await people("alice", "bob");
  const { mxp } = bob.sinch;
  const from = bob.sandbox.requests.all.length;
  // What callGroup() does once it has a microphone.
  mxp.broadcastPubNub.publish({ channel: "room-1", message: nameOf(bob) });
  mxp.subscribeNotificationChannel("room-1");
  await bob.asked("GET", /^\/subscribe\/[^/]+\/[^/]*room-1[^/]*\/0\//, { from });
  await alice.send(nameOf(bob), "while you wait for the others");
  await bob.message("while you wait for the others");
  close(alice, bob);
});

test("several tabs with one browser's storage share a PubNub uuid, and each still gets its answers", async () => {
  const name = newName("alice");
  const bob = await startedClient(server, newName("bob"));
  const browser = new ClassicBrowser(server);
  const tabs = await Promise.all([1, 2, 3].map(async () => {
    const tab = browser.tab();
    await tab.start({ userTicket: ticketFor(server, name) });
    return tab;
  }));
  for (const tab of tabs) await tab.polling();
  tabs[1].terminate();
  await tabs[1].answered("GET", /\/leave/);
  await bob.send(name, "one tab less");
  await Promise.all([tabs[0].message("one tab less"), tabs[2].message("one tab less")]);
  close(bob, ...tabs);
});

test("two hundred messages to a tab that starts late come in pages and none twice", async () => {
  const bob = await startedClient(server, newName("bob"));
  const saved = bob.session;
  bob.close();
  const backend = new Backend(server);
  const from = user(newName("alice"));
  for (let number = 1; number <= 200; ++number) await backend.sent({ msg_id: messageId(), from, to: [user(saved.userId)], text: `late ${number}` });
  const again = new ClassicClient(server);
  await again.start({ ...saved });
  const all = Array.from({ length: 200 }, (_, index) => `late ${index + 1}`);
  for (const text of all) await again.message(text, { ms: 60_000 });
  assert.deepEqual(again.texts().sort(), all.sort());
  again.close();
});
