import { describe, expect, test } from "vitest";

import { CountersignError } from "../src/errors.js";
import { InboxMachine, type InboxAction, type InboxInput, type Note } from "../src/inbox.js";
import type { InboxState, Position } from "../src/message_wire.js";

const chainOf = (offset: number, line = "a"): string => `${line}${offset.toString(16).padStart(15, "0")}`.slice(-16);
const zeros = "0".repeat(16);
const entry = (offset: number, line?: string): object => ({ offset, chain: chainOf(offset, line), kind: "message" });
const at = (offset: number, epoch = "e1"): Position => ({ epoch, offset, chain: offset === 0 ? zeros : chainOf(offset) });
const state = (from: number, top: number, more: Partial<InboxState> = {}): InboxState => ({
  from: at(from),
  top,
  cursor: from,
  reason: null,
  ...more,
});

/** A machine whose storage and listeners answer at once, unless told otherwise. */
class Harness {
  readonly machine: InboxMachine;
  now = 0;
  readonly done: InboxAction[] = [];
  readonly handed: { offset: number; redelivered: boolean }[] = [];
  readonly notes: Note[] = [];
  readonly acks: number[] = [];
  readonly resets: string[] = [];
  readonly syncs: (Position | null)[] = [];
  listens = true;
  writes = true;

  constructor(note: Note | null = null, clear?: (offset: number) => boolean) {
    this.machine = new InboxMachine(() => 0.5, clear && (({ offset }) => clear(offset)));
    this.step({ type: "loaded", note });
  }

  step(input: InboxInput): void {
    for (const action of this.machine.step(input, this.now)) {
      this.done.push(action);
      if (action.do === "hand") {
        this.handed.push({ offset: action.entry.offset, redelivered: action.redelivered });
        if (this.listens) this.step({ type: "handled" });
      } else if (action.do === "note") {
        this.notes.push(action.note);
        if (this.writes) this.step({ type: "noted" });
      } else if (action.do === "ack") {
        this.acks.push(action.offset);
        this.step({ type: "acked" });
      } else if (action.do === "reset") this.resets.push(action.reason);
      else if (action.do === "sync") this.syncs.push(action.position);
    }
  }

  push(...offsets: number[]): void {
    this.step({ type: "entries", epoch: "e1", entries: offsets.map((offset) => entry(offset)) });
  }

  get offsets(): number[] {
    return this.handed.map(({ offset }) => offset);
  }

  pass(ms: number, ...timers: ("ack" | "sync" | "missing")[]): void {
    this.now += ms;
    for (const name of timers) this.step({ type: "timer", name });
  }
}

describe("The stream", () => {
  test("is handed out one by one, in order", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.listens = false;
    inbox.step({ type: "connected", inbox: state(5, 8) });
    inbox.push(6, 7, 8);
    expect(inbox.offsets).toEqual([6]);
    inbox.step({ type: "handled" });
    expect(inbox.offsets).toEqual([6, 7]);
    inbox.step({ type: "handled" });
    inbox.step({ type: "handled" });
    expect(inbox.handed.map(({ redelivered }) => redelivered)).toEqual([false, false, false]);
  });

  test.each([
    ["a hole", [6, 8]],
    ["a repeat", [6, 6]],
    ["an entry from the future", [900]],
  ])("with %s is asked for again from what was handled", (_, offsets) => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.step({ type: "connected", inbox: state(5, 9) });
    inbox.push(...offsets);
    const handled = offsets[0] === 6 ? 6 : 5;
    // What was handled in the same step counts only once its listener was done.
    expect(inbox.syncs).toHaveLength(1);
    expect(inbox.syncs[0]?.offset).toBeLessThanOrEqual(handled);
    inbox.push(9);
    expect(inbox.offsets).not.toContain(9);
    inbox.step({ type: "synced", inbox: state(inbox.syncs[0]?.offset ?? 0, 9) });
    const next = (inbox.syncs[0]?.offset ?? 0) + 1;
    inbox.push(...[6, 7, 8, 9].filter((offset) => offset >= next));
    expect(inbox.offsets).toEqual([6, 7, 8, 9]);
    expect(inbox.handed.every(({ redelivered }) => !redelivered)).toBe(true);
  });

  test.each([
    ["no object", 7],
    ["no offset", { chain: chainOf(6) }],
    ["a broken chain", { offset: 6, chain: "xyz" }],
    ["a negative offset", { offset: -6, chain: chainOf(6) }],
    ["offset 0", { offset: 0, chain: zeros }],
    ["a fraction", { offset: 6.5, chain: chainOf(6) }],
  ])("with %s for an entry is asked for again, with growing pauses", (_, bad) => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.step({ type: "connected", inbox: state(5, 9) });
    const pauses: number[] = [];
    for (let round = 0; round < 6; ++round) {
      inbox.step({ type: "entries", epoch: "e1", entries: [bad] });
      const timer = inbox.done.filter((action) => action.do === "startTimer" && action.name === "sync").at(-1);
      if (round > 0 && timer?.do === "startTimer") {
        pauses.push(timer.ms);
        inbox.pass(timer.ms, "sync");
      }
      inbox.step({ type: "synced", inbox: state(5, 9) });
    }
    expect(inbox.handed).toEqual([]);
    expect(inbox.syncs).toHaveLength(6);
    expect(pauses.at(-1)).toBeGreaterThan(2_000);
  });

  test("lets an entry through that keeps lacking something, so that it cannot stop the rest", () => {
    const inbox = new Harness({ position: at(5), begun: 5 }, (offset) => offset !== 6);
    inbox.step({ type: "connected", inbox: state(5, 7) });
    for (let round = 0; round < 3; ++round) {
      inbox.push(6, 7);
      expect(inbox.offsets).toEqual([]);
      inbox.pass(60_000, "sync");
      inbox.step({ type: "synced", inbox: state(5, 7) });
    }
    inbox.push(6, 7);
    expect(inbox.offsets).toEqual([6, 7]);
  });

  test("is asked for when `top` tells of entries that do not come, and not while the page is slow", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.step({ type: "connected", inbox: state(5, 5) });
    inbox.step({ type: "top", epoch: "e1", top: 7 });
    inbox.pass(5_000, "missing");
    expect(inbox.syncs).toEqual([at(5)]);
    inbox.step({ type: "synced", inbox: state(5, 7) });
    inbox.listens = false;
    inbox.push(6);
    inbox.pass(5_000, "missing");
    expect(inbox.syncs).toHaveLength(1);
  });

  test("of another epoch is asked for anew", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.step({ type: "connected", inbox: state(5, 5) });
    inbox.step({ type: "entries", epoch: "e2", entries: [entry(6)] });
    expect(inbox.handed).toEqual([]);
    expect(inbox.syncs).toEqual([at(5)]);
  });

  test("that floods beyond the window is bounded", () => {
    const inbox = new Harness({ position: at(0), begun: 0 });
    inbox.listens = false;
    inbox.step({ type: "connected", inbox: state(0, 5_000) });
    inbox.push(...Array.from({ length: 5_000 }, (_, index) => index + 1));
    expect(inbox.machine.waiting).toBeLessThan(1_100);
    expect(inbox.syncs).toHaveLength(1);
  });
});

describe("Notes", () => {
  test("say what is about to be handed out before, and what was handled before it is acknowledged", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.writes = false;
    inbox.step({ type: "connected", inbox: state(5, 6) });
    inbox.push(6);
    expect(inbox.notes).toEqual([{ position: at(5), begun: 6 }]);
    expect(inbox.handed).toEqual([]);
    inbox.step({ type: "noted" });
    expect(inbox.offsets).toEqual([6]);
    expect(inbox.notes.at(-1)).toEqual({ position: at(6), begun: 6 });
    expect(inbox.acks).toEqual([]);
    inbox.step({ type: "noted" });
    expect(inbox.acks).toEqual([6]);
  });

  test("are one write for a run of entries", () => {
    const inbox = new Harness({ position: at(0), begun: 0 });
    inbox.step({ type: "connected", inbox: state(0, 128) });
    inbox.push(...Array.from({ length: 128 }, (_, index) => index + 1));
    expect(inbox.handed).toHaveLength(128);
    expect(inbox.notes.length).toBeLessThanOrEqual(9);
  });

  test("of a page that died make what it had begun come as redelivered, and nothing else", () => {
    const inbox = new Harness({ position: at(5), begun: 7 });
    inbox.step({ type: "connected", inbox: state(5, 8) });
    inbox.push(6, 7, 8);
    expect(inbox.handed).toEqual([
      { offset: 6, redelivered: true },
      { offset: 7, redelivered: true },
      { offset: 8, redelivered: false },
    ]);
  });

  test("that were lost make what the device may have had come as redelivered", () => {
    const inbox = new Harness(null);
    inbox.step({ type: "connected", inbox: state(5, 300) });
    inbox.push(...Array.from({ length: 295 }, (_, index) => index + 6));
    expect(inbox.resets).toEqual([]);
    expect(inbox.handed.filter(({ redelivered }) => redelivered).at(-1)?.offset).toBe(5 + 128);
  });

  test("of an old copy of the storage do, too", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.step({ type: "connected", inbox: state(5, 60, { cursor: 40 }) });
    inbox.push(6, 41);
    expect(inbox.handed[0]).toEqual({ offset: 6, redelivered: true });
  });

  test("of an old copy are written anew before anything is handed out", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.writes = false;
    inbox.step({ type: "connected", inbox: state(5, 60, { cursor: 40 }) });
    inbox.push(6);
    expect(inbox.handed).toEqual([]);
    expect(inbox.notes).toEqual([{ position: at(5), begun: 60 }]);
    inbox.step({ type: "noted" });
    expect(inbox.offsets).toEqual([6]);
  });
});

describe("A place that was lost", () => {
  test("is told before what comes after it, and that carries redelivered up to the top", () => {
    const inbox = new Harness({ position: at(50), begun: 50 });
    inbox.step({ type: "connected", inbox: state(10, 12, { reason: "epoch", from: at(10, "e2") }) });
    expect(inbox.resets).toEqual(["epoch"]);
    inbox.step({ type: "entries", epoch: "e2", entries: [entry(11), entry(12), entry(13)] });
    expect(inbox.handed).toEqual([
      { offset: 11, redelivered: true },
      { offset: 12, redelivered: true },
      { offset: 13, redelivered: false },
    ]);
    expect(inbox.done.some((action) => action.do === "recovered")).toBe(false);
  });

  test("is remembered over a death of the page", () => {
    const inbox = new Harness({ position: at(50), begun: 50 });
    inbox.step({ type: "connected", inbox: state(10, 12, { reason: "floor" }) });
    const note = inbox.notes.at(-1) ?? null;
    const after = new Harness(note);
    after.step({ type: "connected", inbox: state(10, 13) });
    after.push(11, 12, 13);
    expect(after.handed.map(({ redelivered }) => redelivered)).toEqual([true, true, false]);
  });

  test("comes after what had come before", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.listens = false;
    inbox.step({ type: "connected", inbox: state(5, 7) });
    inbox.push(6, 7);
    inbox.step({ type: "reset", inbox: state(20, 20, { reason: "floor" }) });
    expect(inbox.resets).toEqual([]);
    inbox.step({ type: "handled" });
    expect(inbox.offsets).toEqual([6, 7]);
    inbox.step({ type: "handled" });
    expect(inbox.resets).toEqual(["floor"]);
    expect(inbox.machine.position).toEqual(at(20));
  });

  test("is recognised although the gateway calls it recovered", () => {
    for (const from of [at(7), at(5, "e2"), { ...at(5), chain: chainOf(9) }]) {
      const inbox = new Harness({ position: at(5), begun: 5 });
      inbox.step({ type: "connected", inbox: state(0, 9, { from }) });
      expect(inbox.resets).toEqual(["epoch"]);
      expect(inbox.done.some((action) => action.do === "recovered")).toBe(false);
    }
  });

  test("does not exist for a new device", () => {
    const inbox = new Harness(null);
    inbox.step({ type: "connected", inbox: state(3, 4, { reason: "unknown_device" }) });
    inbox.push(4);
    expect(inbox.resets).toEqual([]);
    expect(inbox.handed).toEqual([{ offset: 4, redelivered: false }]);
    const known = new Harness({ position: at(5), begun: 5 });
    known.step({ type: "connected", inbox: state(5, 5, { reason: "unknown_device" }) });
    expect(known.resets).toEqual(["unknown_device"]);
  });
});

describe("A reconnect", () => {
  test("does not hand out again what is in the listener's hands", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.listens = false;
    inbox.step({ type: "connected", inbox: state(5, 7) });
    inbox.push(6, 7);
    inbox.step({ type: "disconnected" });
    expect(inbox.machine.position).toEqual(at(5));
    inbox.step({ type: "connected", inbox: state(5, 7) });
    inbox.push(6, 7);
    inbox.step({ type: "handled" });
    inbox.step({ type: "handled" });
    expect(inbox.offsets).toEqual([6, 7]);
  });

  test("goes on handing out meanwhile, and acknowledges only what this connection has brought", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.writes = false;
    inbox.step({ type: "connected", inbox: state(5, 6) });
    inbox.push(6);
    inbox.step({ type: "disconnected" });
    inbox.step({ type: "noted" });
    inbox.step({ type: "noted" });
    expect(inbox.offsets).toEqual([6]);
    expect(inbox.acks).toEqual([]);
    inbox.step({ type: "connected", inbox: state(6, 6, { cursor: 5 }) });
    expect(inbox.acks).toEqual([6]);
  });

  test("with nothing received is recovered, any number of times", () => {
    const inbox = new Harness(null);
    inbox.step({ type: "connected", inbox: state(0, 0, { reason: "unknown_device" }) });
    for (let round = 0; round < 20; ++round) {
      inbox.step({ type: "disconnected" });
      inbox.step({ type: "connected", inbox: state(0, 0) });
    }
    expect(inbox.done.filter((action) => action.do === "recovered")).toHaveLength(20);
    expect(inbox.resets).toEqual([]);
  });
});

describe("Acknowledgements", () => {
  test("are gathered: one at once, then four a second", () => {
    const inbox = new Harness({ position: at(0), begun: 0 });
    inbox.step({ type: "connected", inbox: state(0, 0) });
    for (let offset = 1; offset <= 10; ++offset) {
      inbox.push(offset);
      inbox.pass(10);
    }
    expect(inbox.acks).toEqual([1]);
    inbox.pass(250, "ack");
    expect(inbox.acks).toEqual([1, 10]);
  });

  test("wait when the gateway asks for patience", () => {
    const machine = new InboxMachine(() => 0.5);
    machine.step({ type: "loaded", note: { position: at(5), begun: 6 } }, 0);
    machine.step({ type: "connected", inbox: state(5, 6) }, 0);
    machine.step({ type: "entries", epoch: "e1", entries: [entry(6)] }, 0);
    machine.step({ type: "handled" }, 0);
    expect(machine.step({ type: "noted" }, 0)).toContainEqual({ do: "ack", epoch: "e1", offset: 6 });
    const error = new CountersignError(111, undefined, { retryAfterMs: 700 });
    expect(machine.step({ type: "ackFailed", error }, 10)).toContainEqual({ do: "startTimer", name: "ack", ms: 700 });
    expect(machine.step({ type: "timer", name: "ack" }, 710)).toContainEqual({ do: "ack", epoch: "e1", offset: 6 });
  });

  test("begin where the gateway does, though its cursor is further: its window has to move", () => {
    // Written back from an old copy, the note is at 10; the window has room for four entries of 40 KiB.
    const inbox = new Harness({ position: at(10), begun: 10 });
    inbox.step({ type: "connected", inbox: { ...state(10, 60), cursor: 60 } });
    let base = 10;
    while (base < 60) {
      inbox.push(...[1, 2, 3, 4].map((ahead) => base + ahead).filter((offset) => offset <= 60));
      inbox.pass(250, "ack");
      expect(inbox.acks.at(-1) ?? 0).toBeGreaterThan(base);
      base = inbox.acks.at(-1) ?? 0;
    }
    expect(inbox.syncs).toEqual([]);
    expect(inbox.offsets).toHaveLength(50);
  });

  test("that are refused for good make the machine ask where it stands", () => {
    const inbox = new Harness({ position: at(5), begun: 5 });
    inbox.step({ type: "connected", inbox: state(5, 6) });
    const actions = inbox.machine.step({ type: "entries", epoch: "e1", entries: [entry(6)] }, 0);
    expect(actions.some((action) => action.do === "note")).toBe(true);
    inbox.machine.step({ type: "noted" }, 0);
    inbox.machine.step({ type: "handled" }, 0);
    inbox.machine.step({ type: "noted" }, 0);
    const refused = inbox.machine.step({ type: "ackFailed", error: new CountersignError(112) }, 0);
    expect(refused.some((action) => action.do === "sync")).toBe(true);
  });
});
