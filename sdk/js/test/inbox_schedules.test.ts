/**
 * The inbox machine in random schedules against a model of gateway, storage, page and network: pushes are lost,
 * doubled and cut, pages die, storage is lost, the server is restored, listeners and writes take their time.
 */
import { expect, test } from "vitest";

import { CountersignError } from "../src/errors.js";
import { InboxMachine, type InboxAction, type InboxInput, type InboxTimer, type Note } from "../src/inbox.js";
import type { InboxState, Position } from "../src/message_wire.js";
import { seeded } from "./helpers.js";

const window = 128;
const zeros = "0".repeat(16);

interface Stored {
  readonly message: number;
  readonly chain: string;
}

class World {
  readonly random: () => number;
  now = 0;
  // The server.
  epoch = 1;
  line = 0;
  entries: Stored[] = [];
  cursor = 0;
  known = false;
  messages = 0;
  pushedTo = 0;
  connected = false;
  /** Highest offset this connection was pushed, for acknowledgements. */
  reach = 0;
  // The device.
  machine!: InboxMachine;
  note: Note | null = null;
  writing: Note | null = null;
  inHand = false;
  acking: number | null = null;
  syncing: Position | null | undefined;
  timers = new Map<InboxTimer, number>();
  // What is checked.
  readonly handed = new Map<number, number>();
  readonly lost = new Set<number>();
  order = 0;
  handledOffset = 0;
  resets = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.boot();
  }

  pick(count: number): number {
    return Math.floor(this.random() * count);
  }

  chainAt(offset: number): string {
    return offset === 0 ? zeros : (this.entries[offset - 1]?.chain ?? zeros);
  }

  boot(): void {
    this.machine = new InboxMachine(this.random);
    this.writing = null;
    this.inHand = false;
    this.acking = null;
    this.syncing = undefined;
    this.connected = false;
    this.timers.clear();
    this.order = 0;
    this.feed({ type: "loaded", note: this.note });
  }

  feed(input: InboxInput): void {
    for (const action of this.machine.step(input, this.now)) this.perform(action);
  }

  perform(action: InboxAction): void {
    switch (action.do) {
      case "note":
        expect(this.writing).toBeNull();
        this.writing = action.note;
        break;
      case "hand": {
        expect(this.inHand).toBe(false);
        this.inHand = true;
        const { offset, body } = action.entry;
        const message = Number(body["message"]);
        // In order and without a hole, unless the place was lost in between.
        if (this.order !== 0) expect(offset).toBe(this.order + 1);
        this.order = offset;
        this.handledOffset = offset - 1;
        // The storage knows that a listener is about to have it.
        expect(this.note?.begun ?? 0).toBeGreaterThanOrEqual(offset);
        const times = this.handed.get(message) ?? 0;
        if (times > 0) expect(action.redelivered).toBe(true);
        this.handed.set(message, times + 1);
        break;
      }
      case "ack":
        expect(this.acking).toBeNull();
        expect(action.offset).toBeLessThanOrEqual(this.note?.position.offset ?? 0);
        expect(action.offset).toBeLessThanOrEqual(this.reach);
        this.acking = action.offset;
        break;
      case "sync":
        this.checkShown(action.position);
        this.syncing = action.position;
        break;
      case "reset":
        this.order = 0;
        ++this.resets;
        break;
      case "startTimer":
        this.timers.set(action.name, this.now + action.ms);
        break;
      case "stopTimer":
        this.timers.delete(action.name);
        break;
    }
  }

  /** A position acknowledges: the storage must have it, unless the server has put the device there itself. */
  checkShown(position: Position | null): void {
    const noted = this.note?.position;
    if (position === null || noted === undefined || position.epoch !== noted.epoch) return;
    if (this.writing === null || position !== this.writing.position) {
      expect(position.offset).toBeLessThanOrEqual(noted.offset);
    }
  }

  resume(position: Position | null): InboxState {
    const top = this.entries.length;
    const epoch = `e${this.epoch}`;
    let from = this.cursor;
    let reason: InboxState["reason"] = this.known ? null : "unknown_device";
    if (position !== null) {
      const same = position.epoch === epoch && position.offset <= top && this.chainAt(position.offset) === position.chain;
      if (same) {
        this.cursor = Math.max(this.cursor, position.offset);
        [from, reason] = [position.offset, null];
      } else [from, reason] = [Math.min(this.cursor, top), "epoch"];
    }
    this.known = true;
    if (reason !== null) this.cursor = from;
    this.pushedTo = from;
    this.reach = Math.max(from, 0);
    return { from: { epoch, offset: from, chain: this.chainAt(from) }, top, cursor: this.cursor, reason };
  }

  connect(): void {
    this.checkShown(this.machine.position);
    const inbox = this.resume(this.machine.position);
    this.connected = true;
    this.acking = null;
    this.syncing = undefined;
    // A new device, or one whose storage was lost, starts anew.
    if (this.machine.position === null) this.order = 0;
    this.feed({ type: "connected", inbox });
  }

  disconnect(): void {
    this.connected = false;
    this.acking = null;
    this.syncing = undefined;
    this.feed({ type: "disconnected" });
  }

  push(spoil: number): void {
    const end = Math.min(this.entries.length, this.cursor + window, this.pushedTo + 1 + this.pick(8));
    if (end <= this.pushedTo) return;
    const entries = this.entries
      .slice(this.pushedTo, end)
      .map(({ message, chain }, index) => ({ offset: this.pushedTo + index + 1, chain, message }));
    this.pushedTo = end;
    this.reach = Math.max(this.reach, end);
    if (spoil === 1) return;
    const sent: unknown[] = [...entries];
    if (spoil === 2) sent.splice(this.pick(sent.length), 1);
    if (spoil === 3) sent.push(sent.at(-1));
    if (spoil === 4) sent.splice(this.pick(sent.length), 0, { offset: "x" });
    this.feed({ type: "entries", epoch: `e${this.epoch}`, entries: sent });
  }

  answerSync(honest: boolean): void {
    const position = this.syncing;
    if (position === undefined) return;
    this.syncing = undefined;
    if (!honest && this.random() < 0.3) this.feed({ type: "syncFailed", retryAfterMs: undefined });
    else this.feed({ type: "synced", inbox: this.resume(position) });
  }

  answerAck(honest: boolean): void {
    const offset = this.acking;
    if (offset === null) return;
    this.acking = null;
    if (!honest && this.random() < 0.2) {
      this.feed({ type: "ackFailed", error: new CountersignError(111, "", { retryAfterMs: 100 }) });
      return;
    }
    this.cursor = Math.max(this.cursor, offset);
    this.feed({ type: "acked" });
  }

  finishWrite(): void {
    if (this.writing === null) return;
    this.note = this.writing;
    this.writing = null;
    this.feed({ type: "noted" });
  }

  finishHand(): void {
    if (!this.inHand) return;
    this.inHand = false;
    this.feed({ type: "handled" });
  }

  fireTimers(): void {
    for (const [name, at] of [...this.timers]) {
      if (at > this.now) continue;
      this.timers.delete(name);
      this.feed({ type: "timer", name });
    }
  }

  append(): void {
    const offset = this.entries.length + 1;
    const chain = `${(this.line + 1).toString(16)}${offset.toString(16).padStart(15, "0")}`.slice(-16);
    this.entries.push({ message: ++this.messages, chain });
  }

  /** The store is restored from a copy: what came after it is gone. */
  restore(): void {
    const keep = this.pick(this.entries.length + 1);
    for (const { message } of this.entries.slice(keep)) this.lost.add(message);
    this.entries = this.entries.slice(0, keep);
    this.cursor = Math.min(this.cursor, keep);
    ++this.epoch;
    ++this.line;
    if (this.connected) this.disconnect();
  }

  step(disasters: boolean): void {
    this.now += this.pick(400);
    this.fireTimers();
    const event = this.pick(disasters ? 40 : 30);
    if (event < 6) this.append();
    else if (event < 12 && this.connected) this.push(this.pick(8));
    else if (event < 17) this.finishHand();
    else if (event < 22) this.finishWrite();
    else if (event < 25) this.answerAck(false);
    else if (event < 27) this.answerSync(false);
    else if (event === 27 && this.connected) this.disconnect();
    else if (event < 30 && !this.connected) this.connect();
    else if (event === 30) this.boot();
    else if (event === 31 && this.random() < 0.2) {
      this.note = null;
      this.boot();
    } else if (event === 32 && this.random() < 0.2) this.restore();
    else if (event === 33 && this.connected) {
      this.feed({ type: "top", epoch: `e${this.epoch}`, top: this.entries.length });
    }
  }

  /** Everything heals; @return whether the device ends up with all there is. */
  settle(): boolean {
    for (let round = 0; round < 4_000; ++round) {
      this.now += 500;
      this.fireTimers();
      if (!this.connected) this.connect();
      this.push(0);
      this.finishHand();
      this.finishWrite();
      this.answerAck(true);
      this.answerSync(true);
      if (round % 40 === 39) this.feed({ type: "top", epoch: `e${this.epoch}`, top: this.entries.length });
      if (this.cursor === this.entries.length && this.machine.waiting === 0 && this.writing === null) return true;
    }
    return false;
  }

  /** Messages that are on the server and that no listener has had. */
  get missing(): number[] {
    return this.entries.map(({ message }) => message).filter((message) => !this.handed.has(message));
  }
}

const schedules = Number(process.env["COUNTERSIGN_SDK_SCHEDULES"] ?? 400);

test("Whatever happens, nothing is lost, nothing comes twice unmarked, nothing is acknowledged unhandled", () => {
  for (let seed = 1; seed <= schedules; ++seed) {
    const world = new World(seed);
    try {
      for (let step = 0; step < 300; ++step) world.step(true);
      expect(world.settle()).toBe(true);
      expect(world.missing).toEqual([]);
    } catch (thrown) {
      throw new Error(`seed ${seed}`, { cause: thrown });
    }
  }
});

test("Without disasters nothing is ever told as lost or marked as repeated", () => {
  for (let seed = 1; seed <= schedules / 2; ++seed) {
    const world = new World(seed);
    for (let step = 0; step < 300; ++step) world.step(false);
    expect([seed, world.settle(), world.missing.length, world.resets]).toEqual([seed, true, 0, 0]);
    expect([seed, [...world.handed.values()].every((times) => times === 1)]).toEqual([seed, true]);
  }
});
