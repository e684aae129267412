/**
 * Does what the inbox (`inbox.ts`) says: writes its notes, hands entries to the page, acknowledges, asks again.
 *
 * The note is a record of its own for each (server, application, person, device): tabs are devices, and share
 * nothing. Notes of devices that have not been here for two months are removed.
 */
import type { DurableStore } from "./durable_store.js";
import type { Environment } from "./environment.js";
import { Timers, Turns } from "./hands.js";
import type { Log } from "./log.js";
import { InboxMachine, type InboxAction, type InboxInput, type InboxTimer, type Note } from "./inbox.js";
import type { ResetEvent } from "./message_types.js";
import {
  countIn,
  decodeInbox,
  decodePosition,
  decodeReset,
  decodeTold,
  list,
  type Entry,
  type InboxState,
} from "./message_wire.js";
import { isBody, numberIn, own, stringIn, type Body } from "./protocol.js";
import type { SendCommand } from "./requests.js";
import type { Identity } from "./types.js";

const ackLimitMs = 10_000;
const syncLimitMs = 10_000;
/** Twice the default retention: the gateway has forgotten such a device long before. */
const staleAfterMs = 60 * 24 * 3_600_000;

export interface InboxEvents {
  /** Hands an entry to the page; settles when the page is done with it. */
  hand(entry: Entry, redelivered: boolean): Promise<void>;
  reset(reason: ResetEvent["reason"]): void;
  recovered(missed: number): void;
}

export function notePrefix(person: string): string {
  return `note/${person}/`;
}

export class InboxRunner {
  readonly #environment: Environment;
  readonly #store: DurableStore;
  readonly #key: string;
  readonly #log: Log;
  readonly #send: SendCommand;
  readonly #events: InboxEvents;
  readonly #machine: InboxMachine;
  readonly #turns = new Turns<InboxInput>((input) => this.#take(input));
  readonly #timers = new Timers<InboxTimer>((name) => this.#dispatch({ type: "timer", name }));
  /** Tells answers of this connection from those of the ones before. */
  #round = 0;
  #stopped = false;

  constructor(
    environment: Environment,
    person: string,
    self: Identity,
    device: string,
    store: DurableStore,
    log: Log,
    send: SendCommand,
    events: InboxEvents,
  ) {
    this.#environment = environment;
    this.#store = store;
    this.#key = notePrefix(person) + encodeURIComponent(device);
    this.#log = log;
    this.#send = send;
    this.#events = events;
    this.#machine = new InboxMachine(environment.random, ({ body }) => decodeTold(body, self, false) !== null);
  }

  /** Reads the note; before the first `connect` of this device. */
  async load(): Promise<void> {
    this.#dispatch({ type: "loaded", note: await this.#read() });
    void this.#removeStale();
  }

  /** Reads the note again, which another page that was this device meanwhile may have written. */
  async reload(): Promise<void> {
    this.#dispatch({ type: "reloaded", note: await this.#read() });
  }

  async #read(): Promise<Note | null> {
    const value = await this.#store.get(this.#key);
    const position = isBody(value) ? decodePosition(own(value, "position")) : null;
    const begun = isBody(value) ? (countIn(value, "begun") ?? 0) : 0;
    return position === null ? null : { position, begun };
  }

  /** What `connect` says of where this device stands; nothing if it has no place yet. */
  get resume(): Body {
    const { position } = this.#machine;
    return position === null ? {} : { resume: position };
  }

  connected(inbox: InboxState): void {
    ++this.#round;
    this.#dispatch({ type: "connected", inbox });
  }

  disconnected(): void {
    ++this.#round;
    this.#dispatch({ type: "disconnected" });
  }

  /** @return whether the push was the inbox's. */
  push(name: string, body: Body): boolean {
    if (name === "inbox") {
      const entries = own(body, "entries");
      if (Array.isArray(entries)) {
        this.#dispatch({ type: "entries", epoch: stringIn(body, "epoch"), entries: list(entries) });
      } else {
        this.#dispatch({ type: "unreadable" });
      }
    } else if (name === "reset") {
      const inbox = decodeReset(body);
      this.#dispatch(inbox === null ? { type: "unreadable" } : { type: "reset", inbox });
    } else if (name === "top") {
      const top = countIn(body, "top");
      if (top !== null) this.#dispatch({ type: "top", epoch: stringIn(body, "epoch"), top });
    } else {
      return false;
    }
    return true;
  }

  /** Removes this device's note: it will never be this device again. */
  forget(): Promise<void> {
    return this.#store.remove(this.#key);
  }

  stop(): void {
    this.disconnected();
    this.#stopped = true;
    this.#timers.stopAll();
  }

  #dispatch(input: InboxInput): void {
    if (!this.#stopped) this.#turns.push(input);
  }

  #take(input: InboxInput): void {
    for (const action of this.#machine.step(input, this.#environment.now())) this.#perform(action);
  }

  #perform(action: InboxAction): void {
    switch (action.do) {
      case "note":
        void this.#write(action.note);
        break;
      case "hand":
        void this.#events.hand(action.entry, action.redelivered).then(() => this.#dispatch({ type: "handled" }));
        break;
      case "ack":
        this.#ask("ack", { epoch: action.epoch, offset: action.offset }, ackLimitMs, { type: "acked" });
        break;
      case "sync":
        this.#sync(action.position === null ? {} : { ...action.position });
        break;
      case "reset":
        this.#log.write("warn", `The place in the inbox was lost (${action.reason}): messages may be missing here`);
        this.#events.reset(action.reason);
        break;
      case "recovered":
        if (action.missed > 0) this.#log.write("info", `Messages go on without a hole, ${action.missed} to come`);
        this.#events.recovered(action.missed);
        break;
      case "startTimer":
        this.#timers.start(action.name, action.ms);
        break;
      case "stopTimer":
        this.#timers.stop(action.name);
        break;
      case "log":
        this.#log.write(action.level, action.message);
        break;
    }
  }

  async #write({ position, begun }: Note): Promise<void> {
    await this.#store.put(this.#key, { position, begun, updated: Date.now() });
    this.#dispatch({ type: "noted" });
  }

  #ask(verb: string, body: Body, limitMs: number, done: InboxInput): void {
    const round = this.#round;
    this.#send(verb, body, limitMs, (outcome) => {
      if (round !== this.#round) return;
      this.#dispatch(outcome.ok ? done : { type: "ackFailed", error: outcome.error });
    });
  }

  #sync(position: Body): void {
    const round = this.#round;
    this.#log.write("info", "Asking for the rest of the inbox");
    this.#send("sync", position, syncLimitMs, (outcome) => {
      if (round !== this.#round) return;
      const reply = outcome.ok ? own(outcome.body, "sync") : undefined;
      const inbox = isBody(reply) ? decodeInbox(own(reply, "inbox")) : null;
      if (inbox !== null) this.#dispatch({ type: "synced", inbox });
      else this.#dispatch({ type: "syncFailed", retryAfterMs: outcome.ok ? undefined : outcome.error.retryAfterMs });
    });
  }

  async #removeStale(): Promise<void> {
    const now = Date.now();
    for (const [key, value] of await this.#store.list("note/")) {
      const updated = isBody(value) ? (numberIn(value, "updated") ?? 0) : 0;
      if (key !== this.#key && now - updated > staleAfterMs) await this.#store.remove(key);
    }
  }
}
