/**
 * The queue of unsent messages as a pure state machine. Every tab of a person keeps one; only that of the tab
 * that sends is ever `ready`, the others follow what it tells them. `outbox_runner.ts` does the rest.
 *
 * What it promises, and where:
 * - one message of a conversation is on its way at a time, in the order in which they were written; up to
 *   sixteen conversations at once (`#fill`);
 * - what may have been sent is sent again under the same id, to the same bytes, until the gateway says what
 *   became of it: after a loss, a restart, a temporary failure (`#onRefused`);
 * - it waits as long as the gateway asks, and longer each time (`backoff.ts`);
 * - what is older than seven days fails; what its writer wanted to expire is not sent late (`#tooOld`).
 */
import { backoffDelayMs } from "./backoff.js";
import {
  CountersignError,
  codeConnectionLost,
  codeInstanceExpired,
  codeMessageExpired,
  codeTicketExpired,
  codeTooManyRequests,
  codeUnauthorized,
} from "./errors.js";
import type { MessageContent } from "./message_types.js";
import type { Identity } from "./types.js";

export type OutboxTarget = { readonly to: readonly Identity[] } | { readonly conv: string };

/** A message as it lies in the storage. */
export interface OutboxRecord {
  readonly id: string;
  readonly target: OutboxTarget;
  readonly content: MessageContent;
  /** Milliseconds since 1970 by the server's clock, as far as it was known. */
  readonly created: number;
  /** Whether it may have reached the gateway. */
  readonly attempted: boolean;
  readonly failure: { readonly code: number; readonly message: string } | null;
}

/** What the gateway says of an accepted message. */
export interface Acceptance {
  readonly conversation: string;
  readonly seq: number;
  /** Milliseconds since 1970; absent when only the inbox told of it. */
  readonly time?: number | undefined;
  readonly leftOut: readonly Identity[];
}

export type OutboxInput =
  | { readonly type: "add"; readonly record: OutboxRecord }
  /** All that the storage has; what is gone from it has been dealt with by another tab. */
  | { readonly type: "loaded"; readonly records: readonly OutboxRecord[]; readonly gone: readonly string[] }
  /** This tab sends from now on. */
  | { readonly type: "ready" }
  | { readonly type: "unready" }
  | { readonly type: "accepted"; readonly id: string; readonly acceptance: Acceptance }
  | { readonly type: "refused"; readonly id: string; readonly error: CountersignError }
  /** Another tab tells that it sends a message, that it will do so again, or that one has failed. */
  | { readonly type: "sendsElsewhere"; readonly id: string }
  | { readonly type: "queuedElsewhere"; readonly id: string }
  | { readonly type: "failedElsewhere"; readonly id: string; readonly error: CountersignError }
  | { readonly type: "retry"; readonly id: string }
  | { readonly type: "discard"; readonly id: string }
  /** These users are that conversation: what is written to either keeps one order. */
  | { readonly type: "same"; readonly lane: string; readonly conversation: string }
  | { readonly type: "timer" };

export type OutboxAction =
  | { readonly do: "send"; readonly record: OutboxRecord }
  | { readonly do: "sending"; readonly id: string }
  /** `ours`: this tab was sending it. */
  | { readonly do: "queued"; readonly id: string; readonly ours: boolean }
  | { readonly do: "accepted"; readonly record: OutboxRecord; readonly acceptance: Acceptance }
  | { readonly do: "failed"; readonly record: OutboxRecord; readonly error: CountersignError }
  | { readonly do: "discarded"; readonly id: string }
  /** The record has changed: the storage is to have it so. */
  | { readonly do: "keep"; readonly record: OutboxRecord }
  | { readonly do: "remove"; readonly id: string }
  | { readonly do: "startTimer"; readonly ms: number }
  | { readonly do: "stopTimer" };

export interface Moment {
  /** Milliseconds, never backwards: for pauses. */
  readonly now: number;
  /** Milliseconds since 1970 by the server's clock, as far as it is known: for ages. */
  readonly time: number;
}

export const maxInFlight = 16;
export const maxAgeMs = 7 * 24 * 3_600_000;
/** More than anybody writes offline; a page that sends in a loop shall notice. */
export const maxUnsent = 1_000;

interface Item {
  record: OutboxRecord;
  /** `sending`: by this tab if it is ready, by another if not. */
  state: "queued" | "sending" | "failed";
  attempt: number;
  notBefore: number;
}

/** The conversation of a target, as far as that can be told from it. */
export function laneOf(target: OutboxTarget): string {
  if ("conv" in target) return target.conv;
  const users = target.to.map(({ type, endpoint }) => JSON.stringify([type, endpoint]));
  return `to:${[...new Set(users)].sort().join()}`;
}

/** Faults of the credential, not of the message: it goes with the next connection, or stays. */
const waitsForConnection: ReadonlySet<number> = new Set([
  codeUnauthorized,
  codeTicketExpired,
  codeInstanceExpired,
  codeConnectionLost,
]);

export class OutboxMachine {
  readonly #random: () => number;
  /** In the order in which they were written. */
  #items: Item[] = [];
  readonly #conversations = new Map<string, string>();
  #actions: OutboxAction[] = [];
  #moment: Moment = { now: 0, time: 0 };
  #ready = false;
  /** The gateway asked for patience: nothing is sent before. */
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Messages that the gateway has not accepted, failed ones included. */
  get count(): number {
    return this.#items.length;
  }

  get records(): readonly OutboxRecord[] {
    return this.#items.map(({ record }) => record);
  }

  step(input: OutboxInput, moment: Moment): OutboxAction[] {
    this.#moment = moment;
    this.#actions = [];
    this.#apply(input);
    this.#fill();
    return this.#actions;
  }

  #apply(input: OutboxInput): void {
    switch (input.type) {
      case "add":
        if (this.#find(input.record.id) === undefined) this.#items.push(fresh(input.record));
        break;
      case "loaded":
        this.#onLoaded(input.records, new Set(input.gone));
        break;
      case "ready":
        // What another tab was sending when it went is this one's now.
        this.#waitAnew();
        this.#ready = true;
        break;
      case "unready":
        this.#waitAnew();
        this.#ready = false;
        break;
      case "accepted":
        this.#onAccepted(input.id, input.acceptance);
        break;
      case "refused":
        this.#onRefused(input.id, input.error);
        break;
      case "sendsElsewhere":
        this.#onSendsElsewhere(input.id);
        break;
      case "queuedElsewhere":
        this.#onQueuedElsewhere(input.id);
        break;
      case "failedElsewhere":
        this.#fail(this.#find(input.id), input.error, false);
        break;
      case "retry":
        this.#onRetry(input.id);
        break;
      case "discard":
        this.#onDiscard(input.id);
        break;
      case "same":
        this.#conversations.set(input.lane, input.conversation);
        break;
      case "timer":
        break;
    }
  }

  /** The next message of every conversation that has none on its way. */
  #fill(): void {
    this.#actions.push({ do: "stopTimer" });
    if (!this.#ready) return;
    const lanes = new Set<string>();
    const { now } = this.#moment;
    let inFlight = this.#items.filter(({ state }) => state === "sending").length;
    let wakeAt = Number.POSITIVE_INFINITY;
    for (const item of [...this.#items]) {
      if (item.state === "failed") continue;
      const lane = this.#laneOf(item);
      if (lanes.has(lane)) continue;
      if (item.state === "queued") {
        const late = this.#tooOld(item);
        if (late !== null) {
          this.#fail(item, late, true);
          continue;
        }
        const earliest = Math.max(item.notBefore, this.#pausedUntil);
        if (earliest > now) wakeAt = Math.min(wakeAt, earliest);
        else if (inFlight < maxInFlight) {
          ++inFlight;
          this.#send(item);
        }
      }
      lanes.add(lane);
    }
    if (wakeAt !== Number.POSITIVE_INFINITY) this.#actions.push({ do: "startTimer", ms: Math.ceil(wakeAt - now) });
  }

  #send(item: Item): void {
    if (!item.record.attempted) {
      item.record = { ...item.record, attempted: true };
      this.#actions.push({ do: "keep", record: item.record });
    }
    this.#toSending(item);
    this.#actions.push({ do: "send", record: item.record });
  }

  #toSending(item: Item): void {
    item.state = "sending";
    this.#actions.push({ do: "sending", id: item.record.id });
  }

  /** Why a message is not sent any more, or `null`. */
  #tooOld({ record }: Item): CountersignError | null {
    const age = this.#moment.time - record.created;
    const { expiresIn } = record.content;
    // One that may have arrived is asked about in any case, as long as the gateway remembers its id.
    const expired = expiresIn !== undefined && !record.attempted && age > expiresIn * 1_000;
    if (!expired && age <= maxAgeMs) return null;
    return new CountersignError(codeMessageExpired, expired ? undefined : "It could not be sent within seven days.");
  }

  #onLoaded(records: readonly OutboxRecord[], gone: ReadonlySet<string>): void {
    const stored = new Map(records.map((record) => [record.id, record]));
    // What another tab has dealt with unheard is told by the inbox.
    this.#items = this.#items.filter(({ record }) => !gone.has(record.id));
    for (const item of this.#items) {
      if (stored.get(item.record.id)?.attempted) item.record = { ...item.record, attempted: true };
    }
    const known = new Set(this.#items.map(({ record }) => record.id));
    const others = records.filter(({ id }) => !known.has(id)).map(fresh);
    // Ids sort by time, so what lay there before comes before what was written since.
    this.#items = [...this.#items, ...others].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
  }

  // What other tabs say of sending is old where this one sends: the last words of the one before.

  #onSendsElsewhere(id: string): void {
    const item = this.#find(id);
    if (!this.#ready && item?.state === "queued") this.#toSending(item);
  }

  #onQueuedElsewhere(id: string): void {
    const item = this.#find(id);
    if (!this.#ready && item?.state === "sending") this.#wait(item, 0);
  }

  #onAccepted(id: string, acceptance: Acceptance): void {
    const item = this.#find(id);
    if (item === undefined) return;
    const { record } = item;
    this.#conversations.set(laneOf(record.target), acceptance.conversation);
    this.#drop(item);
    this.#actions.push({ do: "remove", id }, { do: "accepted", record, acceptance });
  }

  #onRefused(id: string, error: CountersignError): void {
    const item = this.#find(id);
    if (!this.#ready || item?.state !== "sending") return;
    if (waitsForConnection.has(error.code)) {
      this.#wait(item, backoffDelayMs(++item.attempt, this.#random()));
    } else if (error.temporary) {
      const pause = backoffDelayMs(++item.attempt, this.#random(), error.retryAfterMs);
      this.#wait(item, pause);
      if (error.code === codeTooManyRequests) this.#pausedUntil = this.#moment.now + pause;
    } else {
      this.#fail(item, error, true);
    }
  }

  #wait(item: Item, ms: number): void {
    item.state = "queued";
    item.notBefore = this.#moment.now + ms;
    this.#actions.push({ do: "queued", id: item.record.id, ours: this.#ready });
  }

  /** Nobody sends at this moment, and a new connection owes nothing to the troubles of the one before. */
  #waitAnew(): void {
    this.#pausedUntil = Number.NEGATIVE_INFINITY;
    for (const item of this.#items) {
      if (item.state === "sending") this.#wait(item, 0);
      item.notBefore = 0;
    }
  }

  #fail(item: Item | undefined, error: CountersignError, ours: boolean): void {
    if (item === undefined || item.state === "failed") return;
    item.state = "failed";
    item.record = { ...item.record, failure: { code: error.code, message: error.message } };
    if (ours) this.#actions.push({ do: "keep", record: item.record });
    this.#actions.push({ do: "failed", record: item.record, error });
  }

  /** Its age counts anew, its place is at the end, its id stays: it may have arrived after all. */
  #onRetry(id: string): void {
    const item = this.#find(id);
    if (item?.state !== "failed") return;
    this.#drop(item);
    const record = { ...item.record, created: this.#moment.time, failure: null };
    this.#items.push(fresh(record));
    this.#actions.push({ do: "keep", record }, { do: "queued", id, ours: false });
  }

  #onDiscard(id: string): void {
    const item = this.#find(id);
    if (item === undefined) return;
    this.#drop(item);
    this.#actions.push({ do: "remove", id }, { do: "discarded", id });
  }

  #drop(item: Item): void {
    this.#items = this.#items.filter((other) => other !== item);
  }

  #find(id: string): Item | undefined {
    return this.#items.find(({ record }) => record.id === id);
  }

  #laneOf({ record }: Item): string {
    const lane = laneOf(record.target);
    return this.#conversations.get(lane) ?? lane;
  }
}

function fresh(record: OutboxRecord): Item {
  return { record, state: record.failure === null ? "queued" : "failed", attempt: 0, notBefore: 0 };
}
