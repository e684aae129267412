import { describe, expect, test } from "vitest";

import { CountersignError } from "../src/errors.js";
import { ConnectionMachine, handshakeLimitMs, lateMs, probeLimitMs, silenceGraceMs } from "../src/state.js";
import type { Action, Credential, Input, TimerName } from "../src/steps.js";

const instance: Credential = { kind: "instance", instance: "i", secret: "s" };
const up: Input = { type: "connected", credential: instance, expiresInMs: 3_600_000, pingIntervalMs: 25_000 };

/** A machine with the world it believes in: one link, some timers, one question for a ticket. */
class Bench {
  readonly machine: ConnectionMachine;
  now = 0;
  link = false;
  asking = false;
  /** The device is being settled: `prepared` is to come. */
  preparing = false;
  preparedWith: Credential | null = null;
  parked = false;
  readonly timers = new Map<TimerName, number>();
  readonly states: string[] = ["disconnected"];
  readonly done: string[] = [];

  constructor(canGetTicket = true, random: () => number = () => 0.5) {
    this.machine = new ConnectionMachine(canGetTicket, random);
  }

  feed(...inputs: Input[]): this {
    for (const input of inputs) {
      if (input.type === "start" && this.machine.state === "disconnected") this.preparing = true;
      if (input.type === "prepared") this.preparing = false;
      if (input.type === "closed") this.link = false;
      if (input.type === "ticket" || input.type === "ticketFailed") this.asking = false;
      for (const action of this.machine.step(input, this.now)) this.#perform(action);
      this.#check();
    }
    return this;
  }

  /** Lets the timer run off, `late` milliseconds after it was due. */
  fire(name: TimerName, late = 0): this {
    const due = this.timers.get(name);
    if (due === undefined) throw new Error(`${name} is not set`);
    this.now = Math.max(this.now, due) + late;
    this.timers.delete(name);
    return this.feed({ type: "timer", name });
  }

  #perform(action: Action): void {
    this.done.push(action.do);
    switch (action.do) {
      case "open":
        // Two connections of one client would push each other out.
        expect(this.link).toBe(false);
        this.link = true;
        break;
      case "drop":
        this.link = false;
        break;
      case "getTicket":
        expect(this.asking).toBe(false);
        this.asking = true;
        break;
      case "park":
        this.parked = true;
        break;
      case "prepare":
        this.parked = false;
        this.preparing = true;
        this.preparedWith = action.credential;
        break;
      case "startTimer":
        expect(action.ms).toBeGreaterThanOrEqual(0);
        expect(action.ms).toBeLessThan(2 ** 31);
        this.timers.set(action.name, this.now + action.ms);
        break;
      case "stopTimer":
        this.timers.delete(action.name);
        break;
      case "state":
        expect(action.state).not.toBe(this.states.at(-1));
        this.states.push(action.state);
        if (action.state === "disconnected") this.parked = this.preparing = false;
        break;
      case "refresh":
      case "probe":
        expect(this.link).toBe(true);
        break;
    }
  }

  /** What must hold after every step. */
  #check(): void {
    expect(this.machine.state).toBe(this.states.at(-1));
    if (this.machine.state === "disconnected") {
      expect(this.link).toBe(false);
      expect([...this.timers.keys()]).toEqual([]);
    }
    if (this.parked) expect([this.link, this.timers.size, this.machine.state]).toEqual([false, 0, "connecting"]);
    if (this.machine.state === "connected") {
      expect(this.link).toBe(true);
      expect(this.timers.has("silence") || this.timers.has("probe")).toBe(true);
    }
  }
}

function connectedBench(): Bench {
  return new Bench().feed({ type: "start" }, { type: "prepared", credential: instance, restored: false }, up);
}

describe("The connection machine", () => {
  test("goes from start over ticket and opening to up", () => {
    const bench = new Bench().feed({ type: "start" }, { type: "prepared", credential: null, restored: false });
    expect(bench.asking).toBe(true);
    bench.feed({ type: "ticket", ticket: "t" });
    expect(bench.link).toBe(true);
    bench.feed(up);
    expect(bench.states).toEqual(["disconnected", "connecting", "connected"]);
  });

  test("limits opening to 10 s", () => {
    const bench = new Bench().feed({ type: "start" }, { type: "prepared", credential: instance, restored: false });
    expect(bench.timers.get("handshake")).toBe(handshakeLimitMs);
    bench.fire("handshake");
    expect(bench.link).toBe(false);
    expect(bench.timers.has("retry")).toBe(true);
  });

  test("counts any traffic as life, without a timer per message", () => {
    const bench = connectedBench();
    const limit = 25_000 + silenceGraceMs;
    const before = bench.done.length;
    for (bench.now = 0; bench.now < 30_000; bench.now += 10) bench.feed({ type: "traffic" });
    expect(bench.done.length).toBe(before);
    bench.fire("silence");
    expect(bench.machine.state).toBe("connected");
    expect(bench.timers.get("silence")).toBe(29_990 + limit);
    bench.fire("silence");
    expect(bench.machine.state).toBe("connecting");
  });

  test("takes a late silence timer for a slept page and probes first", () => {
    const bench = connectedBench().fire("silence", lateMs + 1);
    expect(bench.machine.state).toBe("connected");
    expect(bench.done.at(-1)).toBe("probe");
    bench.feed({ type: "traffic" });
    expect(bench.timers.has("probe")).toBe(false);
  });

  test("takes a late probe timer for another sleep and probes again, then believes it", () => {
    const bench = connectedBench().feed({ type: "wake" }).fire("probe", lateMs + 1);
    expect(bench.machine.state).toBe("connected");
    expect(bench.done.filter((action) => action === "probe")).toHaveLength(2);
    expect(bench.timers.get("probe")).toBe(bench.now + probeLimitMs);
    bench.fire("probe");
    expect(bench.machine.state).toBe("connecting");
  });

  test("holds nothing while the page is in the back/forward cache, and prepares with what it had when it is shown", () => {
    const bench = connectedBench().feed({ type: "park" });
    expect(bench.parked).toBe(true);
    const before = bench.done.length;
    bench.feed({ type: "park" }, { type: "closed", code: 1006 }, { type: "traffic" }, { type: "prepared", credential: null, restored: false });
    expect(bench.done.slice(before)).toEqual([]);
    bench.feed({ type: "wake" });
    expect(bench.preparedWith).toEqual(instance);
    bench.feed({ type: "prepared", credential: instance, restored: true }, up);
    expect(bench.states).toEqual(["disconnected", "connecting", "connected", "connecting", "connected"]);
  });

  test("waits as long as the gateway asked for, also in the back/forward cache", () => {
    const bench = connectedBench().feed({ type: "bye", code: 4101, retryAfterMs: 20_000 }, { type: "closed", code: 4101 });
    const due = bench.timers.get("retry");
    bench.feed({ type: "park" });
    bench.now += 5_000;
    bench.feed({ type: "wake" }, { type: "prepared", credential: instance, restored: true });
    expect([bench.link, bench.timers.get("retry")]).toEqual([false, due]);
    bench.feed({ type: "park" });
    bench.now += 60_000;
    bench.feed({ type: "wake" }, { type: "prepared", credential: instance, restored: true });
    expect(bench.link).toBe(true);
  });

  test("uses a ticket that came while the page was away", () => {
    const bench = new Bench().feed({ type: "start" }, { type: "prepared", credential: null, restored: false }, { type: "park" });
    bench.feed({ type: "wake" }, { type: "prepared", credential: null, restored: true }, { type: "ticket", ticket: "t" });
    expect(bench.link).toBe(true);
    expect(bench.done.filter((action) => action === "getTicket")).toHaveLength(1);
  });

  test("ignores inputs that do not fit its phase", () => {
    const strays: Input[] = [
      up,
      { type: "refused", error: new CountersignError(101) },
      { type: "closed", code: 4503 },
      { type: "ticket", ticket: "t" },
      { type: "refreshed", expiresInMs: 1 },
      { type: "refreshFailed", error: new CountersignError(101) },
      { type: "expiring", inMs: 1 },
      { type: "prepared", credential: instance, restored: true },
      { type: "stop" },
      { type: "wake" },
      { type: "park" },
    ];
    const bench = new Bench().feed(...strays);
    expect(bench.states).toEqual(["disconnected"]);
    expect(bench.done).toEqual([]);
  });

  test("stops at once from every phase and can start again from there", () => {
    const phases: Input[][] = [
      [],
      [{ type: "prepared", credential: null, restored: false }],
      [{ type: "prepared", credential: instance, restored: false }],
      [{ type: "prepared", credential: instance, restored: false }, up],
      [{ type: "prepared", credential: instance, restored: false }, { type: "closed", code: 1006 }],
      [{ type: "prepared", credential: instance, restored: false }, up, { type: "park" }],
      [{ type: "prepared", credential: instance, restored: false }, { type: "park" }, { type: "wake" }],
    ];
    for (const inputs of phases) {
      const bench = new Bench().feed({ type: "start" }, ...inputs, { type: "stop" });
      bench.asking = false;
      bench.feed({ type: "start" }, { type: "prepared", credential: instance, restored: false }, up);
      expect(bench.states.slice(-3)).toEqual(["disconnected", "connecting", "connected"]);
    }
  });
});

/** A small generator with a seed, so that a failing schedule can be run again. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("In any order of events", () => {
  const codes = [1000, 1001, 1006, 4101, 4104, 4105, 4108, 4112, 4499, 4500, 4503, 4508, 4999];
  const errors = [100, 101, 103, 105, 106, 109, 110, 111, 113, 601, 900, 901, 907];

  function anyInput(random: () => number): Input {
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const error = (): CountersignError => new CountersignError(pick(errors), undefined, { retryAfterMs: pick([undefined, 0, 700, 1e12]) });
    const life = (): number => pick([-5, 0, 1, 900, 60_000, 3_600_000, 1e14]);
    return pick<() => Input>([
      () => ({ type: "start" }),
      () => ({ type: "prepared", credential: pick([null, instance, { kind: "ticket", ticket: "t" }]), restored: random() < 0.5 }),
      () => (random() < 0.2 ? { type: "stop" } : { type: "traffic" }),
      () => ({ type: "ticket", ticket: "t" }),
      () => ({ type: "ticketFailed", error: error() }),
      () => ({ type: "connected", credential: instance, expiresInMs: pick([null, life()]), pingIntervalMs: 25_000 }),
      () => ({ type: "connected", credential: instance, expiresInMs: life(), pingIntervalMs: 25_000 }),
      () => ({ type: "refused", error: error() }),
      () => ({ type: "bye", code: pick(codes), retryAfterMs: pick([undefined, 5_000, -1]) }),
      () => ({ type: "closed", code: pick(codes) }),
      () => ({ type: "wake" }),
      () => ({ type: "park" }),
      () => ({ type: "expiring", inMs: life() }),
      () => ({ type: "refreshed", expiresInMs: pick([null, life()]) }),
      () => ({ type: "refreshFailed", error: error() }),
    ])();
  }

  test("the machine keeps its promises, and never waits for nothing", () => {
    for (let seed = 1; seed <= 400; ++seed) {
      const random = seeded(seed);
      const bench = new Bench(random() < 0.8, random);
      for (let step = 0; step < 150; ++step) {
        bench.now += Math.floor(random() * 20_000);
        const due = [...bench.timers].filter(([, at]) => at <= bench.now).map(([name]) => name);
        const [name] = due;
        if (name !== undefined && random() < 0.7) {
          bench.timers.delete(name);
          bench.feed({ type: "timer", name });
          continue;
        }
        const input = anyInput(random);
        // The world can only say what can happen in it.
        const impossible =
          ((input.type === "closed" || input.type === "connected" || input.type === "refused" || input.type === "bye") &&
            !bench.link) ||
          ((input.type === "ticket" || input.type === "ticketFailed") && !bench.asking) ||
          (input.type === "prepared" && !bench.preparing);
        if (impossible) continue;
        const starting = input.type === "start" && bench.machine.state === "disconnected";
        if (starting) bench.asking = false;
        bench.feed(input);
        const waiting = bench.link || bench.asking || bench.timers.size > 0;
        if (bench.machine.state === "connecting") expect(waiting || bench.preparing || bench.parked).toBe(true);
      }
    }
  });

  test("a client whose world heals is connected in the end", () => {
    for (let seed = 1; seed <= 200; ++seed) {
      const random = seeded(seed);
      const bench = new Bench(true, random).feed({ type: "start" }, { type: "prepared", credential: instance, restored: false });
      const trouble = [1000, 1001, 1006, 4101, 4104, 4105, 4108, 4112, 4113, 4114];
      for (let step = 0; step < 60; ++step) {
        if (bench.parked) bench.feed({ type: "wake" });
        else if (bench.preparing) bench.feed({ type: "prepared", credential: instance, restored: true });
        else if (random() < 0.1) bench.feed({ type: "park" });
        else if (bench.asking && random() < 0.5) bench.feed({ type: "ticketFailed", error: new CountersignError(907) });
        else if (bench.asking) bench.feed({ type: "ticket", ticket: "t" });
        else if (bench.link && random() < 0.5) bench.feed({ type: "closed", code: trouble[Math.floor(random() * trouble.length)] ?? 1006 });
        else if (bench.link && bench.machine.state === "connecting" && random() < 0.5) bench.feed(up);
        else if (bench.timers.has("retry")) bench.fire("retry");
        else if (bench.timers.has("silence") && random() < 0.3) bench.fire("silence");
      }
      for (let step = 0; step < 10 && bench.machine.state !== "connected"; ++step) {
        if (bench.parked) bench.feed({ type: "wake" });
        else if (bench.preparing) bench.feed({ type: "prepared", credential: instance, restored: true });
        else if (bench.asking) bench.feed({ type: "ticket", ticket: "t" });
        else if (bench.link) bench.feed(up);
        else bench.fire("retry");
      }
      expect([seed, bench.machine.state]).toEqual([seed, "connected"]);
    }
  });
});
