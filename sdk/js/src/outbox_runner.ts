/**
 * Does what the outbox (`outbox.ts`) says: keeps the queue in the storage, sends it if this tab is the one that
 * sends, and lets all tabs of the person know what becomes of it.
 *
 * That one is the tab that holds a Web Lock named by the person; it holds it only while it is connected, so a
 * tab without a network is never in the way. Where tabs share no storage, no locks or no channel, each sends
 * what it knows by itself: the gateway recognises a message by its id.
 */
import type { DurableStore } from "./durable_store.js";
import type { Broadcast, Environment } from "./environment.js";
import { CountersignError, codeInternal } from "./errors.js";
import { Turns } from "./hands.js";
import type { Log } from "./log.js";
import { countIn, decodeIdentities, decodeIdentity, encodeContent, list, present } from "./message_wire.js";
import {
  OutboxMachine,
  type Acceptance,
  type OutboxAction,
  type OutboxInput,
  type OutboxRecord,
  type OutboxTarget,
} from "./outbox.js";
import { isBody, numberIn, own, stringIn, timeIn, type Body } from "./protocol.js";
import type { SendCommand } from "./requests.js";

export const outboxChannel = "countersign-outbox";
const sendLimitMs = 15_000;

export interface OutboxEvents {
  sending(id: string): void;
  queued(id: string): void;
  accepted(record: OutboxRecord, acceptance: Acceptance): void;
  failed(record: OutboxRecord, error: CountersignError): void;
  discarded(id: string): void;
  /** The number of unsent messages has changed. */
  count(count: number): void;
}

/** Names a person's records, lock and messages to other tabs. */
export function outboxPrefix(person: string): string {
  return `outbox/${person}/`;
}

export class OutboxRunner {
  readonly #environment: Environment;
  readonly #person: string;
  readonly #store: DurableStore;
  readonly #log: Log;
  readonly #send: SendCommand;
  readonly #serverNow: () => number;
  readonly #events: OutboxEvents;
  readonly #machine: OutboxMachine;
  readonly #channel: Broadcast | null;
  readonly #turns = new Turns<OutboxInput>((input) => this.#take(input));
  #timer: ReturnType<typeof setTimeout> | undefined;
  #count = 0;
  /** Lets the lock go, or stops waiting for it; `null` while there is no connection. */
  #leave: (() => void) | null = null;
  #stopped = false;
  /** Records are written in the order in which they were queued. */
  #writing: Promise<unknown> = Promise.resolve();
  #adding = 0;

  constructor(
    environment: Environment,
    person: string,
    store: DurableStore,
    log: Log,
    send: SendCommand,
    serverNow: () => number,
    events: OutboxEvents,
  ) {
    this.#environment = environment;
    this.#person = person;
    this.#store = store;
    this.#log = log;
    this.#send = send;
    this.#serverNow = serverNow;
    this.#events = events;
    this.#machine = new OutboxMachine(environment.random);
    this.#channel = this.#openChannel();
  }

  /** Unsent messages, those that are just being written included. */
  get count(): number {
    return this.#machine.count + this.#adding;
  }

  get records(): readonly OutboxRecord[] {
    return this.#machine.records;
  }

  /** Takes up what the storage has. */
  async load(): Promise<void> {
    const before = this.#machine.records;
    const found = await this.#store.list(outboxPrefix(this.#person));
    const records = found.map(([, value]) => decodeRecord(value)).filter(present);
    const listed = new Set(records.map(({ id }) => id));
    // A storage that is this page's alone, for instance since it failed, says nothing of other tabs.
    const dealtWith = this.#keeps ? before.filter(({ id }) => !listed.has(id)) : [];
    this.#dispatch({ type: "loaded", records, gone: dealtWith.map(({ id }) => id) });
  }

  /** Whether what this tab keeps outlives it, and other tabs have it. */
  get #keeps(): boolean {
    return this.#store.kind !== "memory";
  }

  /** Keeps a message and sends it when its turn comes. Settles when it is kept. */
  add(record: OutboxRecord): Promise<void> {
    ++this.#adding;
    const added = this.#writing.then(async () => {
      await this.#store.put(this.#keyOf(record.id), record);
      --this.#adding;
      if (this.#stopped) return;
      this.#dispatch({ type: "add", record });
      this.#tell({ added: record, kept: this.#keeps });
    });
    this.#writing = added.catch(() => undefined);
    return added;
  }

  retry(id: string): void {
    this.#dispatch({ type: "retry", id });
    this.#tell({ retry: id });
  }

  discard(id: string): void {
    this.#dispatch({ type: "discard", id });
    this.#tell({ discard: id });
  }

  /** The inbox, or another tab, tells that the gateway has it. */
  settled(id: string, acceptance: Acceptance): void {
    this.#dispatch({ type: "accepted", id, acceptance });
  }

  same(lane: string, conversation: string): void {
    this.#dispatch({ type: "same", lane, conversation });
  }

  connected(): void {
    this.disconnected();
    const leaving = new AbortController();
    let release: () => void = () => undefined;
    this.#leave = () => {
      leaving.abort();
      release();
    };
    const held = (): Promise<void> => {
      if (leaving.signal.aborted) return Promise.resolve();
      const until = new Promise<void>((free) => {
        release = free;
      });
      void this.load().then(() => {
        if (!leaving.signal.aborted) this.#dispatch({ type: "ready" });
      });
      return until;
    };
    const { locks } = this.#environment;
    if (locks === null || this.#channel === null || !this.#keeps) {
      void held();
      return;
    }
    locks.request(`countersign-outbox-${this.#person}`, { signal: leaving.signal }, held).catch(() => {
      // Refused for another reason than waiting, for instance in a sandboxed frame: do without.
      if (!leaving.signal.aborted) void held();
    });
  }

  disconnected(): void {
    this.#leave?.();
    this.#leave = null;
    this.#dispatch({ type: "unready" });
  }

  /** Removes every message of the person from this browser. The removal is under way when this returns. */
  wipe(): Promise<void> {
    this.#tell({ wiped: true });
    for (const { id } of this.#machine.records) this.#dispatch({ type: "discard", id });
    return this.#store.removeAll(outboxPrefix(this.#person));
  }

  stop(): void {
    this.disconnected();
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#channel === null) return;
    this.#channel.onmessage = null;
    this.#channel.close();
  }

  // The machine's hands.

  #dispatch(input: OutboxInput): void {
    if (!this.#stopped) this.#turns.push(input);
  }

  #take(input: OutboxInput): void {
    const moment = { now: this.#environment.now(), time: this.#serverNow() };
    for (const action of this.#machine.step(input, moment)) this.#perform(action);
    if (this.#count === this.#machine.count) return;
    this.#count = this.#machine.count;
    this.#events.count(this.#count);
  }

  #perform(action: OutboxAction): void {
    switch (action.do) {
      case "send":
        this.#tell({ sending: action.record.id });
        this.#transmit(action.record);
        break;
      case "sending":
        this.#events.sending(action.id);
        break;
      case "queued":
        if (action.ours) this.#tell({ queued: action.id });
        this.#events.queued(action.id);
        break;
      case "accepted":
        this.#tell({ accepted: action.record.id, acceptance: action.acceptance });
        this.#events.accepted(action.record, action.acceptance);
        break;
      case "failed":
        this.#tell({ failed: action.record.id, code: action.error.code, message: action.error.message });
        this.#log.write("warn", `A message was not sent: ${action.error.message}`);
        this.#events.failed(action.record, action.error);
        break;
      case "discarded":
        this.#events.discarded(action.id);
        break;
      case "keep":
        void this.#store.put(this.#keyOf(action.record.id), action.record);
        break;
      case "remove":
        void this.#store.remove(this.#keyOf(action.id));
        break;
      case "startTimer":
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#dispatch({ type: "timer" }), action.ms);
        break;
      case "stopTimer":
        clearTimeout(this.#timer);
        break;
    }
  }

  #transmit(record: OutboxRecord): void {
    const { id, target, content } = record;
    const sent = this.#send("send", { msg_id: id, ...target, ...encodeContent(content) }, sendLimitMs, (outcome) => {
      if (!outcome.ok) {
        this.#dispatch({ type: "refused", id, error: outcome.error });
        return;
      }
      const acceptance = decodeAcceptance(own(outcome.body, "send"));
      // An answer without an error is an acceptance, whatever else it lacks: sent again it says the same.
      if (acceptance !== null) this.#dispatch({ type: "accepted", id, acceptance });
      else this.#dispatch({ type: "refused", id, error: new CountersignError(codeInternal) });
    });
    if (!sent) this.#dispatch({ type: "unready" });
  }

  #keyOf(id: string): string {
    return outboxPrefix(this.#person) + id;
  }

  // The other tabs.

  #openChannel(): Broadcast | null {
    try {
      const channel = this.#environment.openBroadcast?.(outboxChannel) ?? null;
      if (channel !== null) channel.onmessage = ({ data }) => this.#onTold(data);
      return channel;
    } catch {
      return null;
    }
  }

  #tell(news: Body): void {
    try {
      this.#channel?.postMessage({ ...news, person: this.#person });
    } catch {
      // A tab that hears nothing finds out from the storage and from its inbox.
    }
  }

  /** What its writer cannot keep, a tab that can keeps. */
  #onAdded(record: OutboxRecord, kept: boolean): void {
    if (!kept) void this.#store.put(this.#keyOf(record.id), record);
    this.#dispatch({ type: "add", record });
  }

  #onTold(data: unknown): void {
    if (!isBody(data) || data["person"] !== this.#person) return;
    const { added, retry, discard, sending, queued, accepted, acceptance, failed, wiped } = data;
    const record = decodeRecord(added);
    if (record !== null) this.#onAdded(record, data["kept"] !== false);
    if (typeof retry === "string") this.#dispatch({ type: "retry", id: retry });
    if (typeof discard === "string") this.#dispatch({ type: "discard", id: discard });
    if (typeof sending === "string") this.#dispatch({ type: "sendsElsewhere", id: sending });
    if (typeof queued === "string") this.#dispatch({ type: "queuedElsewhere", id: queued });
    if (typeof accepted === "string" && isBody(acceptance)) {
      this.#dispatch({ type: "accepted", id: accepted, acceptance: acceptance as unknown as Acceptance });
    }
    if (typeof failed === "string") {
      const error = new CountersignError(numberIn(data, "code") ?? codeInternal, stringIn(data, "message") ?? undefined);
      this.#dispatch({ type: "failedElsewhere", id: failed, error });
    }
    if (wiped === true) for (const { id } of this.#machine.records) this.#dispatch({ type: "discard", id });
  }
}

function decodeAcceptance(value: unknown): Acceptance | null {
  if (!isBody(value)) return null;
  const conversation = stringIn(value, "conv");
  const seq = countIn(value, "seq");
  if (conversation === null || seq === null) return null;
  return {
    conversation,
    seq,
    time: timeIn(value, "time") ?? undefined,
    leftOut: decodeIdentities(own(value, "left_out")),
  };
}

/** A record of the storage, which other programs of the origin can write into. */
export function decodeRecord(value: unknown): OutboxRecord | null {
  if (!isBody(value)) return null;
  const id = stringIn(value, "id");
  const target = decodeTarget(own(value, "target"));
  const content = own(value, "content");
  const created = numberIn(value, "created");
  if (id === null || id.length > 64 || target === null || !isBody(content) || created === undefined) return null;
  const failure = own(value, "failure");
  const code = isBody(failure) ? numberIn(failure, "code") : undefined;
  return {
    id,
    target,
    content,
    created,
    attempted: own(value, "attempted") === true,
    failure: code === undefined ? null : { code, message: (isBody(failure) && stringIn(failure, "message")) || "" },
  };
}

function decodeTarget(value: unknown): OutboxTarget | null {
  if (!isBody(value)) return null;
  const conv = stringIn(value, "conv");
  if (conv !== null) return { conv };
  const to = list(own(value, "to")).map(decodeIdentity).filter(present);
  return to.length === 0 ? null : { to };
}
