// The ledger notices what it promises to notice: each test breaks one promise in an otherwise true story.
import assert from "node:assert/strict";
import test from "node:test";
import { Ledger } from "../ledger/ledger.mjs";

const epoch = "e1";
const inbox = (from, more = {}) => ({ epoch, floor: 0, top: from, cursor: from, from, from_chain: `chain${from}`, recovered: true, ...more });

/** Ann writes to Bob, who has two devices; everybody is connected. */
function story() {
  const ledger = new Ledger();
  for (const user of ["ann", "bob"]) ledger.addUser(user);
  ledger.addDevice("ann-0", "ann");
  for (const device of ["bob-0", "bob-1"]) ledger.addDevice(device, "bob");
  for (const device of ["ann-0", "bob-0", "bob-1"]) ledger.connected(device, null, inbox(0, { recovered: false, reason: "unknown_device" }));
  return ledger;
}

function send(ledger, seq, more = {}) {
  const number = ledger.begin("ann", ["bob"]);
  ledger.accepted(number, { conv: "c-1", seq, offset: seq, time: `t${seq}`, dup: false, ...more });
  return number;
}

const entry = (number, seq, more = {}) => ({
  offset: seq,
  chain: `chain${seq}`,
  kind: "message",
  conv: "c-1",
  seq,
  msg_id: `m${number}`,
  from: { type: "username", endpoint: "ann" },
  text: Ledger.text(number, "ann"),
  ...more,
});

function deliver(ledger, device, given, redelivered = false) {
  ledger.arrived(device, given);
  ledger.handled(device, given, redelivered);
}

function deliverToAll(ledger, number, seq) {
  deliver(ledger, "ann-0", entry(number, seq, { kind: "sent", stub: true }));
  for (const device of ["bob-0", "bob-1"]) deliver(ledger, device, entry(number, seq));
}

const names = (ledger) => ledger.settle().map((violation) => violation.split(":")[0]);

test("A true story has no violations", () => {
  const ledger = story();
  for (const seq of [1, 2, 3]) deliverToAll(ledger, send(ledger, seq), seq);
  ledger.acknowledges("bob-0", [{ kind: "message", conv: "c-1", seq: 3 }]);
  ledger.reads("bob-0", { conv: "c-1", seq: 1 });
  ledger.receipt("ann-0", { conv: "c-1", user: { endpoint: "bob" }, delivered: 3, read: 1 });
  ledger.connected("bob-0", { epoch, offset: 3, chain: "chain3" }, inbox(3));
  assert.deepEqual(names(ledger), []);
  assert.equal(ledger.counts.handled, 9);
});

test("A message that one device lacks is lost", () => {
  const ledger = story();
  const number = send(ledger, 1);
  deliver(ledger, "ann-0", entry(number, 1, { kind: "sent", stub: true }));
  deliver(ledger, "bob-0", entry(number, 1));
  assert.deepEqual(names(ledger), ["lost"]);
});

test("A message that nobody acknowledged to its sender is not lost, but it wants an answer", () => {
  const ledger = story();
  ledger.begin("ann", ["bob"]);
  assert.deepEqual(names(ledger), ["unanswered"]);
});

test("A message handed over twice is a violation, unless it is marked", () => {
  const ledger = story();
  const number = send(ledger, 1);
  deliverToAll(ledger, number, 1);
  ledger.connected("bob-0", null, inbox(0));
  deliver(ledger, "bob-0", entry(number, 1), true);
  assert.deepEqual(names(ledger), []);
  ledger.connected("bob-0", null, inbox(0));
  deliver(ledger, "bob-0", entry(number, 1), false);
  assert.ok(names(ledger).includes("repeated"));
});

test("Messages of a conversation out of their order are noticed", () => {
  const ledger = story();
  const [first, second] = [send(ledger, 1), send(ledger, 2)];
  deliver(ledger, "bob-0", entry(second, 2, { offset: 1, chain: "chain1" }));
  deliver(ledger, "bob-0", entry(first, 1, { offset: 2, chain: "chain2" }));
  assert.ok(names(ledger).includes("order"));
});

test("One seq with two messages is noticed", () => {
  const ledger = story();
  send(ledger, 1);
  send(ledger, 1);
  assert.ok(names(ledger).includes("one-order"));
});

test("A hole in the offsets is noticed", () => {
  const ledger = story();
  const number = send(ledger, 2);
  ledger.arrived("bob-0", entry(number, 2));
  assert.ok(names(ledger).includes("dense"));
});

test("An offset that means two things is noticed: by its chain, and by its message", () => {
  for (const change of [{ chain: "other" }, { seq: 9 }]) {
    const ledger = story();
    const number = send(ledger, 1);
    ledger.arrived("bob-0", entry(number, 1));
    ledger.arrived("bob-1", entry(number, 1, change));
    assert.ok(names(ledger).includes("same-stream"));
  }
});

test("A repeat that is answered otherwise is noticed", () => {
  for (const change of [{ seq: 2 }, { offset: 7 }, { time: "later" }, { conv: "c-2" }]) {
    const ledger = story();
    const number = send(ledger, 1);
    ledger.accepted(number, { conv: "c-1", seq: 1, offset: 1, time: "t1", dup: true, ...change });
    assert.ok(names(ledger).includes("idempotent"), JSON.stringify(change));
  }
});

test("A message nobody sent, of another sender, with another text or for somebody else is noticed", () => {
  const changes = [{ msg_id: "m77" }, { from: { type: "username", endpoint: "eve" } }, { text: "something else" }];
  for (const change of changes) {
    const ledger = story();
    deliver(ledger, "bob-0", entry(send(ledger, 1), 1, change));
    assert.ok(names(ledger).includes("forged"), JSON.stringify(change));
  }
  const ledger = story();
  ledger.addUser("eve");
  ledger.addDevice("eve-0", "eve");
  ledger.connected("eve-0", null, inbox(0));
  deliver(ledger, "eve-0", entry(send(ledger, 1), 1));
  assert.ok(names(ledger).includes("forged"));
});

test("A receipt before an acknowledgement is noticed, and one that goes back", () => {
  const early = story();
  deliverToAll(early, send(early, 1), 1);
  early.receipt("ann-0", { conv: "c-1", user: { endpoint: "bob" }, delivered: 1, read: 0 });
  assert.ok(names(early).includes("early-receipt"));

  const back = story();
  for (const seq of [1, 2]) deliverToAll(back, send(back, seq), seq);
  back.acknowledges("bob-1", [{ kind: "message", conv: "c-1", seq: 2 }]);
  back.receipt("ann-0", { conv: "c-1", user: { endpoint: "bob" }, delivered: 2, read: 0 });
  back.receipt("ann-0", { conv: "c-1", user: { endpoint: "bob" }, delivered: 1, read: 0 });
  assert.ok(names(back).includes("receipt-back"));
});

test("A read receipt that no device caused is noticed", () => {
  const told = (read, delivered = 2) => {
    const ledger = story();
    for (const seq of [1, 2]) deliverToAll(ledger, send(ledger, seq), seq);
    ledger.acknowledges("bob-1", [{ kind: "message", conv: "c-1", seq: 2 }]);
    ledger.reads("bob-1", { conv: "c-1", seq: 1 });
    ledger.receipt("ann-0", { conv: "c-1", user: { endpoint: "bob" }, delivered, read });
    return names(ledger);
  };
  assert.deepEqual(told(1), []);
  assert.deepEqual(told(2), ["early-receipt"]);
  assert.deepEqual(told(1, 0), ["early-receipt"], "read, but not delivered");
});

test("Who writes right after what they have read has read their own, and nothing further", () => {
  const told = (seqOfBob, read) => {
    const ledger = story();
    const [seqOfAnn] = [2, 3].filter((seq) => seq !== seqOfBob);
    deliverToAll(ledger, send(ledger, 1), 1);
    ledger.reads("bob-0", { conv: "c-1", seq: 1 });
    const written = [];
    for (const seq of [2, 3]) written.push(ledger.begin(seq === seqOfBob ? "bob" : "ann", [seq === seqOfBob ? "ann" : "bob"]));
    // Nobody knows yet whose the seq is: that is judged in the end.
    ledger.receipt("ann-0", { conv: "c-1", user: { endpoint: "bob" }, delivered: read, read });
    ledger.accepted(written[seqOfBob - 2], { conv: "c-1", seq: seqOfBob, offset: 2, time: "t" });
    ledger.accepted(written[seqOfAnn - 2], { conv: "c-1", seq: seqOfAnn, offset: 2, time: "t" });
    return names(ledger).filter((name) => name !== "lost");
  };
  assert.deepEqual(told(2, 2), []);
  assert.deepEqual(told(3, 2), ["early-receipt", "early-receipt"], "delivered and read");
  assert.deepEqual(told(2, 3), ["early-receipt", "early-receipt"]);
  assert.deepEqual(told(3, 3), ["early-receipt", "early-receipt"], "their own does not excuse the one before it");
});

test("A group's count beyond those who acknowledged or read is noticed, and one of another message", () => {
  const told = (count) => {
    const ledger = story();
    const number = ledger.begin("ann", ["bob", "eve"]);
    ledger.accepted(number, { conv: "g-1", seq: 2, offset: 2, time: "t" });
    ledger.addUser("eve");
    ledger.acknowledges("bob-0", [{ kind: "message", conv: "g-1", seq: 2 }]);
    ledger.receipt("ann-0", { conv: "g-1", seq: 2, delivered: 1, read: 0, of: 2, ...count });
    return names(ledger).filter((name) => name !== "lost");
  };
  assert.deepEqual(told({}), []);
  for (const count of [{ delivered: 2 }, { read: 1 }, { of: 1 }, { of: 3 }]) {
    assert.deepEqual(told(count), ["early-receipt"], JSON.stringify(count));
  }
  const ledger = story();
  deliverToAll(ledger, send(ledger, 1), 1);
  ledger.receipt("bob-0", { conv: "c-1", seq: 1, delivered: 0, read: 0, of: 1 });
  assert.deepEqual(names(ledger), ["early-receipt"], "of a message that somebody else sent");
});

test("Whoever is here for the first time begins at the beginning", () => {
  const ledger = story();
  ledger.addDevice("bob-2", "bob");
  ledger.connected("bob-2", null, inbox(4, { recovered: false, reason: "unknown_device" }));
  assert.deepEqual(names(ledger), ["recovered"]);
});

test("Recovered means exactly where the client stood, and who was here before hears it", () => {
  const note = { epoch, offset: 1, chain: "chain1" };
  for (const answer of [inbox(2), inbox(1, { from_chain: "other" }), inbox(1, { epoch: "e2" }), inbox(1, { recovered: false, reason: "epoch" })]) {
    const ledger = story();
    deliverToAll(ledger, send(ledger, 1), 1);
    ledger.connected("bob-0", note, answer);
    assert.ok(names(ledger).includes("recovered"), JSON.stringify(answer));
  }
});

test("After a restore positions may change", () => {
  const ledger = story();
  deliverToAll(ledger, send(ledger, 1), 1);
  ledger.storeRestored();
  ledger.connected("bob-0", { epoch, offset: 1, chain: "chain1" }, inbox(0, { recovered: false, reason: "epoch" }));
  assert.deepEqual(names(ledger), []);
});

test("A send that is refused for good is noticed", () => {
  const ledger = story();
  ledger.refused(ledger.begin("ann", ["bob"]), { code: 212 });
  assert.ok(names(ledger).includes("refused"));
});
