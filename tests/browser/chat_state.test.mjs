// The chat page's reducer and what follows from its state, without a browser: whatever may happen, in any order.
import assert from "node:assert/strict";
import test from "node:test";
import { importPageModule } from "./support/bundle.mjs";

const { initialState, sentStateOf, draftKey, outgoingOf } = await importPageModule("chat_model.ts");
const { reduce } = await importPageModule("chat_state.ts");
const { maxMessages, maxTimelines } = await importPageModule("chat_timeline_model.ts");
const { rowsOf } = await importPageModule("chat_rows.ts");
const { eventText, linkDetail, linkText, listNames, outgoingText, previewText, relativeTime, sentText, titleOf } =
  await importPageModule("chat_text.ts");

const user = (endpoint) => ({ type: "username", endpoint });
const [alice, bob, carol] = ["alice", "bob", "carol"].map(user);
const begin = Date.UTC(2026, 0, 5, 12);
const direct = "c-1";
const group = "g-1";

function message(seq, { conversation = direct, from = bob, text = `text ${seq}`, ...more } = {}) {
  return {
    kind: "message",
    id: `id-${seq}`,
    conversation,
    seq,
    from,
    to: [],
    time: new Date(begin + seq * 1000),
    text,
    headers: {},
    attachments: [],
    group: conversation === group,
    outgoing: from === alice,
    redelivered: false,
    ...more,
  };
}

function info({ conversation = direct, others = [bob], top = 0, read = 0, unread = 0, delivered = 0, seen = 0, ...more } = {}) {
  return {
    conversation,
    group: conversation === group,
    name: conversation === group ? "Friends" : "",
    version: 1,
    member: true,
    admin: true,
    memberCount: others.length + 1,
    members: [{ user: alice, delivered: top, read }, ...others.map((one) => ({ user: one, delivered, read: seen }))],
    top,
    read,
    unread,
    last: null,
    lastTime: null,
    ...more,
  };
}

function play(events, from = initialState) {
  return events.reduce(reduce, from);
}

const signedIn = play([
  { type: "signedIn", me: alice },
  { type: "link", state: "connecting" },
  { type: "link", state: "connected" },
]);
const listed = (items, next) => ({ type: "list", items, next, first: true });
const history = (messages, { key = direct, before, more = false } = {}) => ({
  type: "history",
  key,
  before,
  page: { messages: [...messages].reverse(), more },
});
const arrived = (seq, more) => ({ type: "message", message: message(seq, more) });
const texts = (state, key = direct) => state.timelines.get(key).messages.map(({ text }) => text);

/** The conversation with bob, open, with these messages in it. */
function talking(top, options = {}) {
  const messages = Array.from({ length: top }, (_, index) => message(index + 1));
  return play([listed([info({ top, read: top, ...options })]), { type: "open", key: direct }, history(messages)], signedIn);
}

test("messages stand in the order of the conversation, however they come, and none twice", () => {
  const state = play([arrived(4), arrived(3), arrived(4), history([message(2), message(3)]), arrived(1)], talking(2));
  assert.deepEqual(texts(state), ["text 1", "text 2", "text 3", "text 4"]);
});

test("what comes while the conversation is open is added; elsewhere it is counted", () => {
  const state = play([arrived(3)], talking(2));
  assert.deepEqual(texts(state), ["text 1", "text 2", "text 3"]);
  assert.equal(state.conversations.get(direct).unread, 1);
  const again = play([arrived(3), arrived(2)], state);
  assert.equal(again.conversations.get(direct).unread, 1, "a repeat is not unread a second time");
  const read = play([{ type: "readHere", key: direct, seq: 3 }], again);
  assert.equal(read.conversations.get(direct).unread, 0);
});

test("the count stops at a hundred", () => {
  const state = play(
    Array.from({ length: 150 }, (_, index) => arrived(index + 1)),
    play([listed([info()])], signedIn),
  );
  assert.equal(state.conversations.get(direct).unread, 100);
});

test("reading on another device reads here", () => {
  const state = play([arrived(3), { type: "receipt", event: { conversation: direct, user: alice, delivered: 3, read: 3 } }], talking(2));
  assert.equal(state.conversations.get(direct).unread, 0);
});

test("horizons only go forward, and a message is as far as its slowest recipient", () => {
  const key = group;
  const receipt = (who, delivered, read) => ({ type: "receipt", event: { conversation: key, user: who, delivered, read } });
  let state = play([listed([info({ conversation: key, others: [bob, carol], top: 5, read: 5 })])], signedIn);
  const is = (seq) => sentStateOf(state.conversations.get(key), seq);
  assert.equal(is(5), "accepted");
  state = play([receipt(bob, 5, 5)], state);
  assert.equal(is(5), "accepted");
  state = play([receipt(carol, 5, 3)], state);
  assert.equal(is(5), "delivered");
  assert.equal(is(3), "read");
  state = play([receipt(carol, 2, 1), receipt(bob, 0, 0)], state);
  assert.equal(is(5), "delivered");
  state = play([receipt(carol, 0, 5)], state);
  assert.equal(is(5), "read", "who has read it has got it");
});

test("in a group too large for names, counts tell; of the last message and of those before it", () => {
  const large = info({ conversation: group, others: [bob], top: 9, read: 9, memberCount: 100 });
  const counted = (seq, delivered, read) => ({ type: "receipt", event: { conversation: group, seq, delivered, read, of: 99 } });
  const state = play([listed([large]), counted(9, 99, 12), counted(8, 99, 99)], signedIn);
  const conversation = state.conversations.get(group);
  assert.equal(sentStateOf(conversation, 9), "delivered");
  assert.equal(sentStateOf(conversation, 7), "delivered");
  assert.equal(sentStateOf(conversation, 10), "accepted");
  const some = play([counted(10, 40, 12), counted(10, 39, 12)], state).conversations.get(group); // they crossed
  assert.equal(sentText(state, some, message(10, { conversation: group, from: alice })).text, "Stored by the server, delivered to 40 of 99");
});

test("who writes has read what they had seen, and nothing that came at the same moment", () => {
  const readOf = (events) => play([listed([info({ top: 2, read: 2 })]), ...events], signedIn).conversations.get(direct).read;
  assert.equal(readOf([arrived(3, { from: alice })]), 3);
  const crossed = [arrived(4, { from: alice }), arrived(3, { from: bob })];
  assert.equal(readOf(crossed), 2, "both wrote at once: the page still has to say that it saw the other's");
});

const outgoing = (id, state, key = direct, more = {}) => ({
  type: "outgoing",
  item: { id, key, state, kept: true, content: { text: `own ${id}` }, created: new Date(begin + 60_000), error: null, ...more },
});

test("a message goes from queued to stored in one place, and keeps its element", () => {
  const steps = [outgoing("a", "queued"), outgoing("a", "sending")];
  let state = play(steps, talking(2));
  const conversation = () => state.conversations.get(direct);
  const last = () => rowsOf(state, conversation(), begin).at(-1);
  assert.equal(last().key, "own:a");
  assert.equal(last().state.name, "sending");
  state = play([{ type: "accepted", id: "a", message: message(3, { id: "a", from: alice }) }], state);
  assert.equal(last().key, "own:a");
  assert.equal(last().state.text, "Stored by the server");
  assert.equal(outgoingOf(state, direct).length, 0);
  state = play([arrived(3, { id: "a", from: alice })], state);
  assert.equal(rowsOf(state, conversation(), begin).filter(({ key }) => key === "own:a").length, 1, "its carbon changes nothing");
  assert.equal(conversation().unread, 0);
});

test("a carbon of what another tab has sent takes the waiting message's place", () => {
  const state = play([outgoing("a", "queued"), arrived(3, { id: "a", from: alice })], talking(2));
  assert.equal(outgoingOf(state, direct).length, 0);
  assert.deepEqual(texts(state), ["text 1", "text 2", "text 3"]);
});

test("a message is called queued only when the browser's storage has it", () => {
  const texts = [false, true].map((kept) => outgoingText(outgoing("a", "queued", direct, { kept }).item).text);
  assert.deepEqual(texts, ["Being queued…", "Queued on this device"]);
});

test("a failed message says why, and goes when it is deleted", () => {
  const error = { code: 214, message: "The recipient does not accept messages from you." };
  let state = play([outgoing("a", "failed", direct, { error }), outgoing("b", "queued")], talking(1));
  assert.equal(outgoingText(outgoingOf(state, direct)[0]).text, `Not sent: ${error.message}`);
  state = play([{ type: "unsent", ids: new Set(["b"]) }], state);
  assert.deepEqual(
    outgoingOf(state, direct).map(({ id }) => id),
    ["b"],
  );
});

test("a message that somebody did not get says who and why, whatever the receipts say", () => {
  const failed = { conversation: direct, seq: 1, id: "x", user: bob, error: { code: 213, message: "The message has expired." } };
  const state = play([{ type: "failed", event: failed }, { type: "failed", event: failed }], talking(1));
  const text = sentText(state, state.conversations.get(direct), message(1, { from: alice }));
  assert.deepEqual(text, { name: "undelivered", text: "Not delivered to bob: The message has expired." });
});

test("a conversation begun here gets its name from the server with its first message", () => {
  const key = draftKey([bob]);
  let state = play([{ type: "draft", others: [bob] }, { type: "open", key }, outgoing("a", "queued", key)], signedIn);
  assert.equal(titleOf(state.conversations.get(key)), "bob");
  state = play([{ type: "accepted", id: "a", message: message(1, { id: "a", from: alice }) }], state);
  assert.equal(state.open, direct);
  assert.deepEqual([...state.conversations.keys()], [direct]);
  assert.deepEqual(texts(state), ["text 1"]);
});

test("a draft and the other's first message meet in one conversation", () => {
  const key = draftKey([bob]);
  const state = play([{ type: "draft", others: [bob] }, { type: "open", key }, outgoing("a", "queued", key), arrived(1)], signedIn);
  assert.equal(state.open, direct);
  assert.equal(state.conversations.size, 1);
  assert.equal(outgoingOf(state, direct).length, 1);
  assert.deepEqual(texts(state), ["text 1"]);
});

test("an untouched draft goes when another conversation is opened", () => {
  const key = draftKey([carol]);
  const state = play([{ type: "draft", others: [carol] }, { type: "open", key }, { type: "open", key: direct }], talking(1));
  assert.deepEqual([...state.conversations.keys()], [direct]);
});

test("a message from a stranger makes the conversation", () => {
  const state = play([arrived(1)], signedIn);
  const conversation = state.conversations.get(direct);
  assert.equal(titleOf(conversation), "bob");
  assert.equal(conversation.unread, 1);
  assert.equal(previewText(state, conversation), "text 1");
});

test("the loaded part stays bounded at either end, and says what is cut off", () => {
  const many = Array.from({ length: maxMessages }, (_, index) => message(1001 + index));
  let state = play([listed([info({ top: 1300, read: 1300 })]), { type: "open", key: direct }, history(many, { more: true })], signedIn);
  state = play([arrived(1301)], state);
  let timeline = state.timelines.get(direct);
  assert.equal(timeline.messages.length, maxMessages);
  assert.equal(timeline.messages[0].seq, 1002);
  assert.ok(timeline.more && timeline.atEnd);
  const older = Array.from({ length: 50 }, (_, index) => message(952 + index));
  state = play([history(older, { before: 1002, more: true }), arrived(1302)], state);
  timeline = state.timelines.get(direct);
  assert.equal(timeline.messages.length, maxMessages);
  assert.equal(timeline.messages[0].seq, 952);
  assert.equal(timeline.atEnd, false, "the newest are cut off");
  assert.equal(timeline.messages.at(-1).seq, 1251, "and nothing new is put behind the cut");
  assert.equal(state.conversations.get(direct).top, 1302);
  const asked = { type: "historyAsked", key: direct, before: undefined };
  state = play([asked, arrived(1303), history([message(1301), message(1302)], { more: true })], state);
  assert.deepEqual(
    state.timelines.get(direct).messages.map(({ seq }) => seq),
    [1301, 1302, 1303],
  );
});

test("few conversations are kept loaded, the open one always", () => {
  const keys = Array.from({ length: maxTimelines + 3 }, (_, index) => `c-${index}`);
  const state = play(
    [listed(keys.map((conversation) => info({ conversation, others: [user(conversation)] }))), ...keys.map((key) => ({ type: "open", key }))],
    signedIn,
  );
  assert.equal(state.timelines.size, maxTimelines);
  assert.ok(state.timelines.has(state.open));
});

test("what was unread is marked where it begins, until the conversation is opened again", () => {
  const messages = [1, 2, 3, 4].map((seq) => message(seq));
  let state = play([listed([info({ top: 4, read: 2, unread: 2 })]), { type: "open", key: direct }, history(messages)], signedIn);
  const rows = () => rowsOf(state, state.conversations.get(direct), begin).map(({ kind }) => kind);
  assert.deepEqual(rows(), ["day", "message", "message", "unread", "message", "message"]);
  state = play([{ type: "readHere", key: direct, seq: 4 }], state);
  assert.equal(rows().filter((kind) => kind === "unread").length, 1);
  state = play([{ type: "close" }, { type: "open", key: direct }], state);
  assert.ok(!rows().includes("unread"));
});

test("days are separated in the reader's zone, and called by name when they are near", () => {
  const day = 86_400_000;
  const at = (seq, time) => message(seq, { time: new Date(time) });
  const state = play(
    [listed([info({ top: 3, read: 3 })]), { type: "open", key: direct }, history([at(1, begin - 9 * day), at(2, begin - day), at(3, begin)])],
    signedIn,
  );
  const days = rowsOf(state, state.conversations.get(direct), begin).filter(({ kind }) => kind === "day");
  assert.equal(days.length, 3);
  assert.deepEqual(
    days.slice(1).map(({ text }) => text),
    ["Yesterday", "Today"],
  );
});

test("what is gone leaves its place and nothing else, also in the list", () => {
  const state = play([arrived(3), { type: "gone", conversation: direct, seq: 3, time: new Date(begin) }, history([message(3)], { before: 4 })], talking(2));
  const row = rowsOf(state, state.conversations.get(direct), begin).at(-1);
  assert.equal(row.kind, "event");
  assert.equal(row.text, "A message that is no longer there.");
  assert.ok(!JSON.stringify([state.timelines.get(direct), previewText(state, state.conversations.get(direct))]).includes("text 3"));
});

test("a message that comes only as a tombstone has its place, too", () => {
  const state = play([{ type: "gone", conversation: direct, seq: 3, time: new Date(begin) }, arrived(4)], talking(2));
  assert.deepEqual(
    state.timelines.get(direct).messages.map(({ kind }) => kind),
    ["message", "message", "gone", "message"],
  );
});

test("after a lost position everything is loaded anew, and the page says so until it is dismissed", () => {
  let state = play([{ type: "reset", reason: "epoch" }], talking(3));
  assert.equal(state.timelines.size, 0);
  assert.equal(state.link.reset, "epoch");
  const { top, last, reaches } = state.conversations.get(direct);
  assert.deepEqual([top, last, reaches.size], [0, null, 0], "a restored store may know less");
  state = play([{ type: "link", state: "connecting" }, { type: "link", state: "connected" }], state);
  assert.equal(state.link.reset, "epoch", "a reconnect does not make it undone");
  assert.equal(play([{ type: "resetDismissed" }], state).link.reset, null);
  const fresh = play([{ type: "reset", reason: "unknown_device" }], play([{ type: "signedIn", me: alice }]));
  assert.equal(fresh.link.reset, null, "a new device has lost nothing");
});

test("the connection is told as it is: connecting, live, offline, behind, live again, ended", () => {
  let state = initialState;
  const said = [];
  const next = (...events) => {
    state = play(events, state);
    said.push(linkText(state.link));
  };
  next({ type: "signedIn", me: alice }, { type: "link", state: "connecting" });
  next({ type: "link", state: "connected" });
  next({ type: "link", state: "connecting" });
  next({ type: "link", state: "connected" }, { type: "recovered", missed: 2 });
  next(arrived(1));
  next(arrived(2));
  const detail = linkDetail(state.link);
  next({ type: "ended", kind: "expired", reason: "" }, { type: "link", state: "connected" });
  assert.deepEqual(said, ["Connecting…", "Live", "Offline", "Behind: 2 entries to come", "Behind: 1 entry to come", "Live", "Ended"]);
  assert.equal(detail, "Recovered without a hole: 2 missed entries came.");
});

test("missed entries may be announced before the connection is", () => {
  const offline = play([{ type: "link", state: "connecting" }], signedIn);
  const state = play([{ type: "recovered", missed: 1 }, { type: "link", state: "connected" }], offline);
  assert.equal(state.link.state, "behind");
  assert.equal(play([arrived(1)], state).link.state, "live");
  assert.equal(play([{ type: "caughtUp" }], state).link.state, "live", "stubs are not shown");
});

test("a group follows who comes, goes and what it is called", () => {
  const change = (seq, action, users, more = {}) =>
    arrived(seq, { conversation: group, kind: "group", text: "", from: bob, change: { action, users, ...more } });
  let state = play([change(1, "create", [alice, bob], { name: "Friends" })], signedIn);
  const conversation = () => state.conversations.get(group);
  assert.deepEqual([titleOf(conversation()), conversation().memberCount], ["Friends", 2]);
  state = play([change(2, "add", [carol]), change(3, "rename", [], { name: "Old friends" })], state);
  assert.deepEqual([titleOf(conversation()), conversation().memberCount], ["Old friends", 3]);
  state = play([change(4, "leave", [bob])], state);
  assert.deepEqual(
    conversation().others.map(({ endpoint }) => endpoint),
    ["carol"],
  );
  state = play([change(5, "remove", [alice])], state);
  assert.equal(conversation().member, false);
});

test("events of a group are told as sentences", () => {
  const told = (from, action, users, name) => eventText(message(1, { from, change: { action, users, name } }), alice);
  assert.equal(told(alice, "create", [alice, bob, carol], "Friends"), "You made the group “Friends” with bob and carol.");
  assert.equal(told(bob, "add", [alice]), "bob added you.");
  assert.equal(told(bob, "leave", [bob]), "bob left.");
  assert.equal(told(bob, "rename", [], "X"), "bob named the group “X”.");
  assert.equal(listNames(["a", "b", "c", "d", "e"]), "a, b, c and 2 others");
});

test("times are relative to the server's clock, and never in the future", () => {
  const at = (ms) => relativeTime(new Date(begin - ms), begin);
  assert.equal(at(-5_000), "just now");
  assert.equal(at(59_000), "just now");
  assert.equal(at(5 * 60_000), "5 minutes ago");
  assert.equal(at(26 * 3_600_000), "yesterday");
});

test("an unknown conversation's receipts and typing are left alone", () => {
  const receipt = { type: "receipt", event: { conversation: "c-9", user: bob, delivered: 1, read: 1 } };
  assert.equal(play([receipt, { type: "typing", conversation: "c-9", user: bob, typing: true }], signedIn), signedIn);
});
