/** One message this user sends, as the page sees it: it changes its state and says so. */
import type { CountersignError } from "./errors.js";
import { Emitter, type Listener } from "./events.js";
import type { ConversationInput, MessageContent, SentEvents, SentMessage, SentState } from "./message_types.js";
import type { Acceptance, OutboxRecord } from "./outbox.js";
import { stateOf, type Progress } from "./receipts.js";
import { sameIdentity } from "./ticket.js";
import type { Identity } from "./types.js";

interface Outcome {
  readonly promise: Promise<SentMessage>;
  readonly resolve: (message: SentMessage) => void;
  readonly reject: (error: CountersignError) => void;
}

export class TrackedMessage implements SentMessage {
  readonly id: string;
  readonly target: ConversationInput;
  readonly content: MessageContent;
  readonly created: Date;
  /** Distinct recipients, where the address names them. */
  readonly recipients: number | null;
  readonly #emitter = new Emitter<SentEvents>();
  #outcome = makeOutcome();
  #state: SentState = "queued";
  #acceptance: Acceptance | null = null;
  #error: CountersignError | null = null;
  #progress: Progress = { delivered: 0, read: 0, of: null };

  constructor(record: OutboxRecord, self: Identity) {
    const { target } = record;
    this.id = record.id;
    this.content = record.content;
    this.created = new Date(record.created);
    this.target = "conv" in target ? target : target.to;
    this.recipients = "conv" in target ? null : target.to.filter((user) => !sameIdentity(user, self)).length;
  }

  get accepted(): Promise<SentMessage> {
    return this.#outcome.promise;
  }

  get state(): SentState {
    return this.#state;
  }
  get conversation(): string | null {
    return this.#acceptance?.conversation ?? null;
  }
  get seq(): number | null {
    return this.#acceptance?.seq ?? null;
  }
  get time(): Date | null {
    const time = this.#acceptance?.time;
    return time === undefined ? null : new Date(time);
  }
  get leftOut(): readonly Identity[] {
    return this.#acceptance?.leftOut ?? [];
  }
  get error(): CountersignError | null {
    return this.#error;
  }
  get deliveredTo(): number {
    return this.#progress.delivered;
  }
  get readBy(): number {
    return this.#progress.read;
  }

  on<Name extends keyof SentEvents>(name: Name, listener: Listener<SentEvents[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }
  off<Name extends keyof SentEvents>(name: Name, listener: Listener<SentEvents[Name]>): void {
    this.#emitter.off(name, listener);
  }

  // For the SDK only.

  queued(): void {
    if (this.#acceptance !== null) return;
    if (this.#state === "failed") this.#outcome = makeOutcome();
    this.#error = null;
    this.#enter("queued");
  }

  sending(): void {
    if (this.#acceptance === null) this.#enter("sending");
  }

  /** A later word may know more: the time, or who was left out. */
  wasAccepted(acceptance: Acceptance): void {
    const first = this.#acceptance === null;
    if (first || acceptance.time !== undefined) this.#acceptance = acceptance;
    if (!first) return;
    this.#error = null;
    this.#enter("accepted");
    this.#outcome.resolve(this);
  }

  failed(error: CountersignError): void {
    if (this.#acceptance !== null || this.#state === "failed") return;
    this.#error = error;
    this.#enter("failed");
    this.#outcome.reject(error);
  }

  /**
   * After it was accepted, so many recipients never got it: of all, it failed; of some, it does not get beyond
   * `accepted`. Takes back what their receipts for later messages had made of it.
   */
  notDelivered(error: CountersignError, missed: number, progress: Progress): void {
    this.#error = error;
    this.#progress = progress;
    if (missed >= (this.recipients ?? progress.of ?? 1)) this.#enter("failed");
    else if (order[stateOf(progress)] < order[this.#state]) this.#enter(stateOf(progress));
    else this.#emitter.emit("state", { state: this.#state, previous: this.#state });
  }

  /** Only ever forward: the counts of a large group turn to a later message, which fewer have got as yet. */
  progressed({ delivered, read, of }: Progress): void {
    if (this.#acceptance === null) return;
    const before = this.#progress;
    this.#progress = { delivered: Math.max(delivered, before.delivered), read: Math.max(read, before.read), of };
    const changed = this.deliveredTo !== before.delivered || this.readBy !== before.read;
    if (this.#state === "failed") return;
    const state = stateOf(this.#progress);
    if (order[state] > order[this.#state]) this.#enter(state);
    else if (changed) this.#emitter.emit("state", { state: this.#state, previous: this.#state });
  }

  #enter(state: SentState): void {
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.#emitter.emit("state", { state, previous });
  }
}

const order: Readonly<Record<SentState, number>> = { failed: 0, queued: 0, sending: 1, accepted: 2, delivered: 3, read: 4 };

function makeOutcome(): Outcome {
  let resolve: Outcome["resolve"] = () => undefined;
  let reject: Outcome["reject"] = () => undefined;
  const promise = new Promise<SentMessage>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever does not look at the promise learns of it through the state.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
