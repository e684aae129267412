import { describe, expect, test } from "vitest";

import { CountersignError } from "../src/errors.js";
import { OutboxMachine, laneOf, maxAgeMs, type OutboxAction, type OutboxInput, type OutboxRecord } from "../src/outbox.js";
import { seeded } from "./helpers.js";

const bob = { type: "username", endpoint: "bob" };
const carol = { type: "username", endpoint: "carol" };
const day = 24 * 3_600_000;

function record(id: string, more: Partial<OutboxRecord> = {}): OutboxRecord {
  return { id, target: { to: [bob] }, content: { text: id }, created: 0, attempted: false, failure: null, ...more };
}

const acceptance = (seq = 1, conversation = "c-1") => ({ conversation, seq, leftOut: [] });

class Bench {
  readonly machine = new OutboxMachine(() => 0.5);
  now = 0;
  feed(...inputs: OutboxInput[]): OutboxAction[] {
    return inputs.flatMap((input) => this.machine.step(input, { now: this.now, time: this.now }));
  }
  /** Ids that were sent by these inputs. */
  sent(...inputs: OutboxInput[]): string[] {
    return this.feed(...inputs).flatMap((action) => (action.do === "send" ? [action.record.id] : []));
  }
}

describe("The queue", () => {
  test("sends nothing before the tab may, and then one message of a conversation at a time", () => {
    const bench = new Bench();
    expect(bench.sent({ type: "add", record: record("1") }, { type: "add", record: record("2") })).toEqual([]);
    expect(bench.sent({ type: "ready" })).toEqual(["1"]);
    expect(bench.sent({ type: "accepted", id: "1", acceptance: acceptance() })).toEqual(["2"]);
    expect(bench.machine.count).toBe(1);
  });

  test("keeps one order for users and the conversation that they turned out to be", () => {
    const bench = new Bench();
    bench.feed({ type: "ready" }, { type: "add", record: record("1") });
    bench.feed({ type: "accepted", id: "1", acceptance: acceptance(1, "c-9") });
    bench.feed({ type: "add", record: record("2") });
    expect(bench.sent({ type: "add", record: record("3", { target: { conv: "c-9" } }) })).toEqual([]);
    expect(bench.sent({ type: "accepted", id: "2", acceptance: acceptance(2, "c-9") })).toEqual(["3"]);
    expect(laneOf({ to: [bob, carol] })).toBe(laneOf({ to: [carol, bob, bob] }));
  });

  test("has up to sixteen conversations under way", () => {
    const bench = new Bench();
    const many = Array.from({ length: 40 }, (_, index) => record(`${index}`, { target: { conv: `c-${index}` } }));
    bench.feed(...many.map((one): OutboxInput => ({ type: "add", record: one })));
    expect(bench.sent({ type: "ready" })).toHaveLength(16);
    expect(bench.sent({ type: "accepted", id: "3", acceptance: acceptance(1, "c-3") })).toHaveLength(1);
  });

  test("notes that a message may have reached the gateway before it is sent", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") });
    const actions = bench.feed({ type: "ready" }).map((action) => action.do);
    expect(actions.indexOf("keep")).toBeGreaterThanOrEqual(0);
    expect(actions.indexOf("keep")).toBeLessThan(actions.indexOf("send"));
  });

  test("sends again, with the same id, after a temporary failure, later each time, and as late as asked", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") }, { type: "add", record: record("2") }, { type: "ready" });
    const pauses: number[] = [];
    for (let round = 0; round < 8; ++round) {
      const actions = bench.feed({ type: "refused", id: "1", error: new CountersignError(113) });
      const timer = actions.find((action) => action.do === "startTimer");
      if (timer?.do !== "startTimer") throw new Error("nothing would happen any more");
      pauses.push(timer.ms);
      expect(bench.sent({ type: "timer" })).toEqual([]);
      bench.now += timer.ms;
      expect(bench.sent({ type: "timer" })).toEqual(["1"]);
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500, 7_500]);
    const asked = bench.feed({ type: "refused", id: "1", error: new CountersignError(113, "", { retryAfterMs: 60_000 }) });
    expect(asked).toContainEqual({ do: "startTimer", ms: 60_150 });
  });

  test("rests as a whole when it was too fast", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") }, { type: "ready" });
    bench.feed({ type: "refused", id: "1", error: new CountersignError(111, "", { retryAfterMs: 5_000 }) });
    expect(bench.sent({ type: "add", record: record("2", { target: { to: [carol] } }) })).toEqual([]);
    bench.now += 6_000;
    expect(bench.sent({ type: "timer" })).toEqual(["1", "2"]);
  });

  test("gives up what the gateway refuses for good, and goes on with the next", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") }, { type: "add", record: record("2") }, { type: "ready" });
    const actions = bench.feed({ type: "refused", id: "1", error: new CountersignError(214) });
    expect(actions).toContainEqual(expect.objectContaining({ do: "failed", record: expect.objectContaining({ id: "1" }) }));
    expect(actions).toContainEqual(expect.objectContaining({ do: "keep", record: expect.objectContaining({ failure: { code: 214, message: new CountersignError(214).message } }) }));
    expect(actions).toContainEqual(expect.objectContaining({ do: "send", record: expect.objectContaining({ id: "2" }) }));
    expect(bench.machine.count).toBe(2);
  });

  test.each([101, 109, 110, 900])("keeps what could not be sent for lack of a credential or connection (%i)", (code) => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") }, { type: "ready" });
    bench.feed({ type: "refused", id: "1", error: new CountersignError(code) }, { type: "unready" });
    expect(bench.sent({ type: "ready" })).toEqual(["1"]);
  });

  test("sends again after a loss what had no answer", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") }, { type: "ready" });
    expect(bench.feed({ type: "unready" })).toContainEqual({ do: "queued", id: "1", ours: true });
    expect(bench.sent({ type: "ready" })).toEqual(["1"]);
  });

  test("takes over what another tab was sending when it went", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1") }, { type: "add", record: record("2") });
    expect(bench.feed({ type: "sendsElsewhere", id: "1" })).toContainEqual({ do: "sending", id: "1" });
    // What it had told the storage, the storage tells.
    const kept = [record("1", { attempted: true }), record("2")];
    bench.feed({ type: "loaded", records: kept, gone: [] });
    expect(bench.sent({ type: "ready" })).toEqual(["1"]);
    // Its last word may come late.
    bench.feed({ type: "queuedElsewhere", id: "1" }, { type: "sendsElsewhere", id: "2" });
    expect(bench.sent({ type: "accepted", id: "1", acceptance: acceptance() })).toEqual(["2"]);
  });

  test("does not give up what another tab may have sent", () => {
    const bench = new Bench();
    const content = { text: "x", expiresIn: 1 };
    bench.feed({ type: "add", record: record("1", { content }) });
    bench.now = 5_000;
    bench.feed({ type: "loaded", records: [record("1", { content, attempted: true })], gone: [] });
    expect(bench.sent({ type: "ready" })).toEqual(["1"]);
  });

  test("gives up what is older than seven days, and what should have expired unless it may have arrived", () => {
    const bench = new Bench();
    bench.now = maxAgeMs + 10 * day;
    const created = bench.now - 2 * day;
    const content = { text: "x", expiresIn: 3_600 };
    bench.feed(
      { type: "add", record: record("old", { created: bench.now - maxAgeMs - 1 }) },
      { type: "add", record: record("expired", { created, content }) },
      { type: "add", record: record("perhaps", { created, content, attempted: true }) },
    );
    const actions = bench.feed({ type: "ready" });
    const failed = actions.flatMap((action) => (action.do === "failed" ? [`${action.record.id} ${action.error.code}`] : []));
    expect(failed).toEqual(["old 213", "expired 213"]);
    expect(actions.flatMap((action) => (action.do === "send" ? [action.record.id] : []))).toEqual(["perhaps"]);
  });

  test("takes a clock that jumped back for no age at all", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("1", { created: 7_200_000 }) });
    expect(bench.sent({ type: "ready" })).toEqual(["1"]);
  });

  test("sends a failed message again only when asked to, and forgets what is discarded", () => {
    const bench = new Bench();
    const failure = { code: 214, message: "no" };
    bench.feed({ type: "loaded", records: [record("1", { failure }), record("2", { failure })], gone: [] });
    expect(bench.sent({ type: "ready" })).toEqual([]);
    expect(bench.sent({ type: "retry", id: "1" })).toEqual(["1"]);
    expect(bench.feed({ type: "discard", id: "2" })).toContainEqual({ do: "remove", id: "2" });
    expect(bench.machine.count).toBe(1);
  });

  test("takes from the storage what is there, and drops what another tab has dealt with", () => {
    const bench = new Bench();
    bench.feed({ type: "add", record: record("2") }, { type: "add", record: record("3") });
    bench.feed({ type: "sendsElsewhere", id: "2" });
    bench.feed({ type: "add", record: record("4") });
    bench.feed({ type: "loaded", records: [record("3"), record("1")], gone: ["2"] });
    expect(bench.machine.records.map(({ id }) => id)).toEqual(["1", "3", "4"]);
  });
});

test("In any order of events every message is accepted once, in the order of its conversation", () => {
  for (let seed = 1; seed <= 500; ++seed) {
    const random = seeded(seed);
    const pick = (count: number): number => Math.floor(random() * count);
    const machine = new OutboxMachine(random);
    // The gateway: what it committed, by conversation, and whether the client knows.
    const committed = new Map<string, string[]>();
    const inFlight = new Map<string, OutboxRecord>();
    const told = new Set<string>();
    let stored = new Map<string, OutboxRecord>();
    let current = machine;
    let now = 0;
    let made = 0;
    let due: number | null = null;
    const feed = (input: OutboxInput): void => {
      for (const action of current.step(input, { now, time: now })) {
        if (action.do === "send") {
          expect(stored.get(action.record.id)?.attempted).toBe(true);
          inFlight.set(action.record.id, action.record);
          expect(inFlight.size).toBeLessThanOrEqual(16);
        } else if (action.do === "keep") stored.set(action.record.id, action.record);
        else if (action.do === "remove") stored.delete(action.id);
        else if (action.do === "accepted") {
          expect(told.has(action.record.id)).toBe(false);
          told.add(action.record.id);
        } else if (action.do === "startTimer") due = now + action.ms;
        else if (action.do === "stopTimer") due = null;
      }
    };
    const commit = ({ id, target }: OutboxRecord): number => {
      const list = committed.get(laneOf(target)) ?? [];
      committed.set(laneOf(target), list);
      if (!list.includes(id)) list.push(id);
      return list.indexOf(id) + 1;
    };
    const answer = (honest: boolean): void => {
      const [first] = [...inFlight.values()];
      if (first === undefined) return;
      inFlight.delete(first.id);
      const fate = honest ? 0 : pick(4);
      if (fate <= 1) {
        const seq = commit(first);
        if (fate === 1) feed({ type: "refused", id: first.id, error: new CountersignError(901) });
        else feed({ type: "accepted", id: first.id, acceptance: { conversation: laneOf(first.target), seq, leftOut: [] } });
      } else {
        feed({ type: "refused", id: first.id, error: new CountersignError(fate === 2 ? 113 : 111, "", { retryAfterMs: pick(500) }) });
      }
    };
    for (let step = 0; step < 120; ++step) {
      now += pick(2_000);
      const event = pick(8);
      if (event <= 1) {
        const one = record(String(++made).padStart(4, "0"), { target: { conv: `c-${pick(4)}` }, created: now });
        stored.set(one.id, one);
        feed({ type: "add", record: one });
      } else if (event === 2) feed({ type: "ready" });
      else if (event === 3 && random() < 0.5) {
        // The connection is lost; what was sent may have been committed.
        for (const one of inFlight.values()) if (random() < 0.5) commit(one);
        inFlight.clear();
        feed({ type: "unready" });
      } else if (event === 4 && random() < 0.3) {
        // The page dies; the next one has what the storage has.
        for (const one of inFlight.values()) if (random() < 0.5) commit(one);
        inFlight.clear();
        due = null;
        current = new OutboxMachine(random);
        stored = new Map([...stored].sort(([a], [b]) => (a < b ? -1 : 1)));
        feed({ type: "loaded", records: [...stored.values()], gone: [] });
      } else if (event === 5 && due !== null && now >= due) feed({ type: "timer" });
      else answer(false);
    }
    feed({ type: "ready" });
    for (let step = 0; step < 500 && current.count > 0; ++step) {
      answer(true);
      now += 20_000;
      feed({ type: "timer" });
    }
    expect([seed, current.count, told.size, stored.size]).toEqual([seed, 0, made, 0]);
    for (const list of committed.values()) expect([seed, list]).toEqual([seed, [...list].sort()]);
  }
});
