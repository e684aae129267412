/**
 * The inbox as a pure state machine: what came from the gateway, the page and the storage goes in; what to
 * hand out, note, acknowledge and ask for comes out. `inbox_runner.ts` does it.
 *
 *     gateway ──entries──▶ queue ──hand──▶ listener ──handled──▶ note ──noted──▶ ack
 *
 * What it promises, and where:
 * - entries are handed out one by one, in the order of their offsets, none left out: what does not follow the
 *   one before is never queued but asked for again (`onEntry`);
 * - that a listener is about to get an entry is noted before, that it had it is noted after, and only what is
 *   noted is acknowledged (`advance`): after a death the entry comes again with `redelivered`, or not at all;
 * - what may have been handed out before carries `redelivered`, whatever the reason: the page died (`begun`), another
 *   page was this device while it lay in the back/forward cache (`reloaded`), its storage was lost (`mayRepeat`), the
 *   server lost the place (`onState`);
 * - a place that was lost is told before what comes after it (`jump`);
 * - the gateway is asked again with growing pauses, however it misbehaves (`resync`).
 */
import { backoffDelayMs } from "./backoff.js";
import type { CountersignError } from "./errors.js";
import type { LogLevel } from "./log.js";
import type { ResetEvent } from "./message_types.js";
import { decodeEntry, type Entry, type InboxState, type Position } from "./message_wire.js";

/** What survives the page: the last handled position, and the highest offset a listener may have begun. */
export interface Note {
  readonly position: Position;
  readonly begun: number;
}

export type InboxTimer = "ack" | "sync" | "missing";

export type InboxInput =
  /** What the storage has; before the first `connected`. */
  | { readonly type: "loaded"; readonly note: Note | null }
  /** What it has after the page lay in the back/forward cache, where another page may have been this device. */
  | { readonly type: "reloaded"; readonly note: Note | null }
  | { readonly type: "connected"; readonly inbox: InboxState }
  | { readonly type: "disconnected" }
  | { readonly type: "entries"; readonly epoch: string | null; readonly entries: readonly unknown[] }
  | { readonly type: "reset"; readonly inbox: InboxState }
  /** A push of the inbox that cannot be read. */
  | { readonly type: "unreadable" }
  | { readonly type: "top"; readonly epoch: string | null; readonly top: number }
  | { readonly type: "synced"; readonly inbox: InboxState }
  | { readonly type: "syncFailed"; readonly retryAfterMs: number | undefined }
  /** The listeners are done with what was handed out last. */
  | { readonly type: "handled" }
  /** The note that was asked for last is in the storage. */
  | { readonly type: "noted" }
  | { readonly type: "acked" }
  | { readonly type: "ackFailed"; readonly error: CountersignError }
  | { readonly type: "timer"; readonly name: InboxTimer };

export type InboxAction =
  | { readonly do: "note"; readonly note: Note }
  | { readonly do: "hand"; readonly entry: Entry; readonly redelivered: boolean }
  | { readonly do: "ack"; readonly epoch: string; readonly offset: number }
  | { readonly do: "sync"; readonly position: Position | null }
  | { readonly do: "reset"; readonly reason: ResetEvent["reason"] }
  | { readonly do: "recovered"; readonly missed: number }
  | { readonly do: "startTimer"; readonly name: InboxTimer; readonly ms: number }
  | { readonly do: "stopTimer"; readonly name: InboxTimer }
  | { readonly do: "log"; readonly level: LogLevel; readonly message: string };

/** The most the gateway pushes beyond what is acknowledged; so much a device may have had unnoted. */
export const windowEntries = 128;
/** Entries that one note announces: their notes are then one write, not two, each. */
const begunAhead = 16;
/** So long a handled entry may wait for its note while others are handed out. */
const noteEveryMs = 50;
const ackEveryMs = 250;
/** Sooner if so many have gathered: well before the window is full. */
const ackAtEntries = 96;
/** So long the gateway may owe entries that `top` tells of. */
const missingMs = 5_000;
const maxQueued = 1_024;
/** So often an entry that lacks something is asked for again. */
const unclearTimes = 3;
const syncEveryMs = 1_000;

/** A place in the queue: an entry, or a jump to where the stream goes on. */
type Step =
  | { readonly entry: Entry; readonly epoch: string; readonly redelivered: boolean }
  | { readonly jump: Position; readonly reason: ResetEvent["reason"] | null };

export class InboxMachine {
  readonly #random: () => number;
  readonly #clear: (entry: Entry) => boolean;
  #actions: InboxAction[] = [];
  #now = 0;

  #connected = false;
  /** The last entry the listeners are done with. */
  #handled: Position | null = null;
  /** The last position that is in the storage; acknowledged is only what it holds. */
  #noted: Position | null = null;
  /** As far as listeners may have had entries, by the last note. */
  #begun = 0;
  #shown: Position | null = null;
  /** The same of another page that was this device, before or meanwhile: in its epoch. */
  #earlier = { epoch: "", begun: 0 };
  /** A note is being written: this one. */
  #noting: Note | null = null;
  #notedAt = 0;
  /** The entry the listeners have at the moment. */
  #inHand: Position | null = null;
  readonly #queue: Step[] = [];

  /** The last offset of the stream that came, on this connection. */
  #stream: Position | null = null;
  /** Entries of this epoch up to here may have been handed out in an earlier life. */
  #mayRepeat = 0;
  /** The entry that could not be understood, and how often it came. */
  #unclear = { offset: 0, times: 0 };
  #acked = 0;
  /** An acknowledgement is on its way: this one. */
  #acking: { readonly epoch: string; readonly offset: number } | null = null;
  #ackedAt = Number.NEGATIVE_INFINITY;
  #ackTimer = false;
  #syncing = false;
  #syncTimer = false;
  #syncAttempt = 0;
  #syncedAt = Number.NEGATIVE_INFINITY;
  /** Where the gateway says the stream ends. */
  #top = 0;

  /**
   * @param random  uniform in [0, 1).
   * @param clear  whether an entry has what its kind needs.
   */
  constructor(random: () => number, clear: (entry: Entry) => boolean = () => true) {
    this.#random = random;
    this.#clear = clear;
  }

  /** What `connect` and `sync` show. It acknowledges, so it is what the storage has, or where the gateway itself put us. */
  get position(): Position | null {
    return this.#shown;
  }

  /** Entries that came and have not been handled. */
  get waiting(): number {
    return this.#queue.length + (this.#inHand === null ? 0 : 1);
  }

  /** Takes one input at `now` (milliseconds, never backwards) and says what to do, in order. */
  step(input: InboxInput, now: number): InboxAction[] {
    this.#now = now;
    this.#actions = [];
    this.#apply(input);
    this.#advance();
    return this.#actions;
  }

  #apply(input: InboxInput): void {
    switch (input.type) {
      case "loaded":
        this.#handled = this.#noted = this.#shown = input.note?.position ?? null;
        this.#begun = input.note?.begun ?? 0;
        this.#earlier = { epoch: input.note?.position.epoch ?? "", begun: this.#begun };
        break;
      case "reloaded":
        // A note of ours tells nothing new; of another page, that its listeners may have had so much.
        if (input.note !== null && input.note.begun !== this.#begun) {
          this.#earlier = { epoch: input.note.position.epoch, begun: input.note.begun };
        }
        break;
      case "connected":
        this.#connected = true;
        this.#syncAttempt = 0;
        this.#onState(input.inbox, true);
        break;
      case "disconnected":
        this.#onDisconnected();
        break;
      case "entries":
        this.#onEntries(input.epoch, input.entries);
        break;
      case "reset":
        if (this.#connected && !this.#syncing) this.#onState(input.inbox, false);
        break;
      case "unreadable":
        this.#log("warn", "A push of the inbox could not be read");
        this.#resync();
        break;
      case "top":
        this.#onTop(input.epoch, input.top);
        break;
      case "synced":
        if (!this.#syncing) break;
        this.#syncing = false;
        this.#onState(input.inbox, false);
        break;
      case "syncFailed":
        this.#syncing = false;
        this.#resync(input.retryAfterMs);
        break;
      case "handled":
        this.#onHandled();
        break;
      case "noted":
        this.#onNoted();
        break;
      case "acked":
        if (this.#acking?.epoch === this.#stream?.epoch) this.#acked = Math.max(this.#acked, this.#acking?.offset ?? 0);
        this.#acking = null;
        break;
      case "ackFailed":
        this.#onAckFailed(input.error);
        break;
      case "timer":
        this.#onTimer(input.name);
        break;
    }
  }

  // The stream.

  /** The gateway says where the stream goes on: at `connect`, after `sync`, or because it was reset. */
  #onState(inbox: InboxState, connecting: boolean): void {
    const { from, top, cursor } = inbox;
    const place = this.#handled;
    let { reason } = inbox;
    if (reason === null && place !== null && hides(place, from)) {
      this.#log("error", "The gateway calls recovered what is not");
      reason = "epoch";
    }
    this.#stream = from;
    this.#top = top;
    if (connecting) this.#acking = null;
    this.#stopTimer("missing");
    const lost = reason !== null && !(reason === "unknown_device" && place === null);
    if (lost) {
      this.#mayRepeat = Math.max(top, from.offset);
    } else if (reason === null && (place === null || place.offset < cursor)) {
      // The gateway knows this device better than its storage does: that was lost, or is an old copy.
      this.#mayRepeat = Math.min(top, cursor + windowEntries);
    }
    if (lost) {
      // What waits here may never come again: it keeps its turn, before the jump.
      const last = this.#queue.at(-1);
      if (last !== undefined && "jump" in last) this.#queue.pop();
      this.#queue.push({ jump: from, reason });
    } else {
      // What waits here comes again.
      this.#queue.length = 0;
      if (place === null) this.#queue.push({ jump: from, reason: null });
    }
    if (lost) this.#acked = from.offset;
    // The gateway's window begins where the stream does; with an old copy of the note that is before the cursor.
    else if (connecting) this.#acked = Math.min(cursor, from.offset);
    if (connecting && reason === null) this.#actions.push({ do: "recovered", missed: Math.max(0, top - from.offset) });
    this.#expectMore();
  }

  #onDisconnected(): void {
    this.#connected = false;
    this.#stream = null;
    this.#syncing = false;
    this.#acking = null;
    this.#ackedAt = Number.NEGATIVE_INFINITY;
    for (const name of ["ack", "sync", "missing"] as const) this.#stopTimer(name);
  }

  #onEntries(epoch: string | null, entries: readonly unknown[]): void {
    // What comes before the answer to `sync` belongs to the stream that was given up.
    if (this.#stream === null || this.#syncing || this.#syncTimer) return;
    if (epoch !== this.#stream.epoch) {
      this.#log("warn", "Entries of another epoch");
      this.#resync();
      return;
    }
    for (const value of entries) {
      const entry = decodeEntry(value);
      if (entry === null || entry.offset !== this.#stream.offset + 1 || !this.#isClear(entry)) {
        const found = entry === null ? "cannot be read" : `has offset ${entry.offset} or lacks something`;
        this.#log("warn", `The entry after ${this.#stream.offset} ${found}: asking for the rest again`);
        this.#resync();
        return;
      }
      if (this.#queue.length >= maxQueued) {
        this.#log("warn", "The gateway pushes more than the window: asking for the rest later");
        this.#resync();
        return;
      }
      this.#onEntry(entry, epoch);
      if (this.#syncing || this.#syncTimer) return;
    }
    this.#syncAttempt = 0;
    this.#expectMore();
  }

  #onEntry(entry: Entry, epoch: string): void {
    const { offset, chain } = entry;
    const last = this.#inHand ?? this.#handled;
    this.#stream = { epoch, offset, chain };
    if (last !== null && last.epoch === epoch && offset <= last.offset && this.#noJumpWaits()) {
      if (offset === last.offset && chain !== last.chain) {
        this.#log("error", "The inbox is not the one it was");
        this.#resync();
      }
      return;
    }
    const earlier = this.#earlier;
    const redelivered = offset <= this.#mayRepeat || (epoch === earlier.epoch && offset <= earlier.begun);
    this.#queue.push({ entry, epoch, redelivered });
  }

  /** An entry that keeps coming unclear is let through: its listener's side passes over it. */
  #isClear(entry: Entry): boolean {
    if (this.#clear(entry)) return true;
    const times = this.#unclear.offset === entry.offset ? this.#unclear.times + 1 : 1;
    this.#unclear = { offset: entry.offset, times };
    return times > unclearTimes;
  }

  #noJumpWaits(): boolean {
    return !this.#queue.some((step) => "jump" in step);
  }

  #onTop(epoch: string | null, top: number): void {
    if (this.#stream === null || this.#syncing) return;
    if (epoch !== this.#stream.epoch) {
      this.#resync();
      return;
    }
    this.#top = top;
    this.#expectMore();
  }

  /** Watches for entries that the gateway owes; it owes none while the window is full. */
  #expectMore(): void {
    this.#stopTimer("missing");
    if (this.#stream !== null && this.#stream.offset < this.#top) this.#startTimer("missing", missingMs);
  }

  /** Asks for everything after what has been noted: at once the first time, with pauses after that. */
  #resync(retryAfterMs?: number): void {
    if (!this.#connected || this.#syncing || this.#syncTimer) return;
    const attempt = this.#syncAttempt++;
    const wait = this.#syncedAt + syncEveryMs - this.#now;
    if (attempt === 0 && retryAfterMs === undefined && wait <= 0) {
      this.#sync();
      return;
    }
    this.#syncTimer = true;
    this.#startTimer("sync", Math.max(wait, backoffDelayMs(attempt, this.#random(), retryAfterMs)));
  }

  #sync(): void {
    this.#syncing = true;
    this.#syncedAt = this.#now;
    this.#stopTimer("missing");
    // A new device has handled nothing yet: it begins where it was told to.
    const first = this.#queue[0];
    const begin = first !== undefined && "jump" in first ? first.jump : null;
    // What is in hand, or being noted, comes again, and is recognised then.
    this.#actions.push({ do: "sync", position: this.#shown ?? begin });
  }

  // Handing out.

  /** Does whatever can be done now: jumps, notes, the next entry, acknowledgement. */
  #advance(): void {
    while (this.#inHand === null && this.#noting === null) {
      const next = this.#queue[0];
      if (next === undefined) {
        if (this.#handled !== null && this.#handled !== this.#noted) this.#note(this.#begun);
        break;
      }
      if ("jump" in next) {
        this.#queue.shift();
        this.#handled = this.#shown = next.jump;
        if (next.reason !== null) this.#actions.push({ do: "reset", reason: next.reason });
        this.#note(0);
        break;
      }
      const { entry, epoch, redelivered } = next;
      if (entry.offset > this.#begun) {
        this.#note(Math.min(entry.offset + begunAhead - 1, this.#lastQueued()));
        break;
      }
      if (this.#handled !== this.#noted && this.#now >= this.#notedAt + noteEveryMs) {
        this.#note(this.#begun);
        break;
      }
      this.#queue.shift();
      this.#inHand = { epoch, offset: entry.offset, chain: entry.chain };
      this.#actions.push({ do: "hand", entry, redelivered });
    }
    this.#acknowledge();
  }

  #lastQueued(): number {
    let last = 0;
    for (const step of this.#queue) {
      if ("jump" in step) break;
      last = step.entry.offset;
    }
    return last;
  }

  #note(begun: number): void {
    // A device without any entry handled yet is at the beginning of what it was shown.
    const position = this.#handled;
    if (position === null) return;
    // What may repeat is to be known after a death, too.
    this.#begun = Math.max(begun, this.#mayRepeat);
    this.#noting = { position, begun: this.#begun };
    this.#actions.push({ do: "note", note: this.#noting });
  }

  #onNoted(): void {
    if (this.#noting === null) return;
    this.#noted = this.#shown = this.#noting.position;
    this.#noting = null;
    this.#notedAt = this.#now;
  }

  #onHandled(): void {
    if (this.#inHand === null) return;
    this.#handled = this.#inHand;
    this.#inHand = null;
  }

  // Acknowledging.

  #acknowledge(): void {
    const { epoch, offset } = this.#noted ?? { epoch: "", offset: 0 };
    const stream = this.#stream;
    if (stream === null || this.#syncing || this.#acking !== null || this.#ackTimer) return;
    if (this.#handled?.epoch !== epoch || stream.epoch !== epoch || !this.#noJumpWaits()) return;
    // Never beyond what came on this connection: that would be an error, and rightly so.
    const reach = Math.min(offset, stream.offset);
    if (reach <= this.#acked) return;
    const wait = this.#ackedAt + ackEveryMs - this.#now;
    // Nothing is left to do here, and the gateway has more: few large entries fill its window as well.
    const starved = this.waiting === 0 && stream.offset < this.#top;
    if (wait > 0 && reach - this.#acked < ackAtEntries && !starved) {
      this.#ackTimer = true;
      this.#startTimer("ack", wait);
      return;
    }
    this.#acking = { epoch, offset: reach };
    this.#ackedAt = this.#now;
    this.#actions.push({ do: "ack", epoch, offset: reach });
  }

  #onAckFailed(error: CountersignError): void {
    const refused = this.#acking;
    this.#acking = null;
    if (refused === null || !this.#connected) return;
    if (error.temporary) {
      this.#ackTimer = true;
      this.#startTimer("ack", Math.max(ackEveryMs, error.retryAfterMs ?? 1_000));
      return;
    }
    this.#log("warn", `The gateway refused an acknowledgement: ${error.message}`);
    if (refused.epoch === this.#stream?.epoch) this.#acked = Math.max(this.#acked, refused.offset);
    this.#resync();
  }

  #onTimer(name: InboxTimer): void {
    if (name === "ack") {
      this.#ackTimer = false;
    } else if (name === "sync") {
      this.#syncTimer = false;
      if (this.#connected && !this.#syncing) this.#sync();
    } else if (this.#stream !== null && this.#stream.offset < this.#top && !this.#syncing) {
      // A full window explains the silence: the gateway waits for us.
      if (this.waiting > 0 || this.#acked < (this.#handled?.offset ?? 0)) this.#expectMore();
      else this.#resync();
    }
  }

  #startTimer(name: InboxTimer, ms: number): void {
    this.#actions.push({ do: "startTimer", name, ms: Math.round(ms) });
  }

  #stopTimer(name: InboxTimer): void {
    if (name === "ack") this.#ackTimer = false;
    if (name === "sync") this.#syncTimer = false;
    this.#actions.push({ do: "stopTimer", name });
  }

  #log(level: LogLevel, message: string): void {
    this.#actions.push({ do: "log", level, message });
  }
}

/** Whether a stream that goes on at `from` leaves out something after `place`, or is another one. */
function hides(place: Position, from: Position): boolean {
  if (place.epoch !== from.epoch || place.offset < from.offset) return true;
  return place.offset === from.offset && place.chain !== from.chain;
}
