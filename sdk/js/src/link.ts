/**
 * One connection: numbers commands, pairs replies with them, answers pings.
 *
 * A link is used once. After `close` or the transport's end it reports nothing more, so a late frame of
 * an old connection can never be taken for the new one's.
 */
import { CountersignError, codeConnectionLost, codeTimedOut } from "./errors.js";
import { decodeFrame, type Body } from "./protocol.js";
import type { Transport, TransportFactory } from "./transport.js";

export type Outcome =
  | { readonly ok: true; readonly body: Body }
  | { readonly ok: false; readonly error: CountersignError };

export interface LinkEvents {
  opened(): void;
  /** Something arrived, whatever it was. */
  traffic(): void;
  push(name: string, body: Body): void;
  malformed(): void;
  closed(code: number): void;
}

interface Pending {
  readonly done: (outcome: Outcome) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

export class Link {
  /** Whether the gateway wants its pings answered; it says so in its reply to `connect`. */
  answersPings = false;
  readonly #transport: Transport;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #events: LinkEvents | null;

  /** @throws what the factory throws. */
  constructor(openTransport: TransportFactory, url: string, events: LinkEvents) {
    this.#events = events;
    this.#transport = openTransport(url, {
      opened: () => this.#events?.opened(),
      frame: (text) => this.#receive(text),
      closed: (code) => this.#finish(code),
    });
  }

  /**
   * Sends a command. `done` is called exactly once: with the reply, with the gateway's refusal, or with
   * 901 after `timeoutMs`, or with 900 when the link ends first; not at all after `close`.
   */
  command(verb: string, body: Body, timeoutMs: number, done: (outcome: Outcome) => void): void {
    const id = ++this.#lastId;
    const timer = setTimeout(() => {
      this.#settle(id, { ok: false, error: new CountersignError(codeTimedOut) });
    }, timeoutMs);
    this.#pending.set(id, { done, timer });
    this.#transport.send(JSON.stringify({ id, [verb]: body }));
  }

  /** Ends the link; nothing is reported after this. */
  close(code: number): void {
    this.#events = null;
    this.#forget();
    this.#transport.close(code);
  }

  /** Sends a last command and closes after its answer, or after `timeoutMs`; then calls `closed`. */
  closeAfter(verb: string, timeoutMs: number, closed: () => void): void {
    this.#forget();
    const finish = (): void => {
      this.close(1000);
      closed();
    };
    this.#events = { opened: noop, traffic: noop, push: noop, malformed: noop, closed: noop };
    this.command(verb, {}, timeoutMs, finish);
  }

  #receive(text: string): void {
    this.#events?.traffic();
    for (const message of decodeFrame(text)) {
      if (this.#events === null) return;
      switch (message.kind) {
        case "ping":
          if (this.answersPings) this.#transport.send("{}");
          break;
        case "reply":
          this.#settle(message.id, { ok: true, body: message.body });
          break;
        case "failure":
          this.#settle(message.id, { ok: false, error: message.error });
          break;
        case "push":
          this.#events.push(message.name, message.body);
          break;
        case "malformed":
          this.#events.malformed();
          break;
      }
    }
  }

  /** An answer to no command of ours, or to one that has timed out, is dropped. */
  #settle(id: number, outcome: Outcome): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    pending.done(outcome);
  }

  #finish(code: number): void {
    const events = this.#events;
    const waiting = [...this.#pending.keys()];
    // The end comes first: whoever waits for an answer then already knows that the link is gone.
    events?.closed(code);
    if (events === null) return;
    for (const id of waiting) {
      this.#settle(id, { ok: false, error: new CountersignError(codeConnectionLost) });
    }
    this.#events = null;
  }

  #forget(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
  }
}

function noop(): void {
  // Nobody listens to a link that only says goodbye.
}
