/**
 * The message client: what the page calls and hears (`Messages`), and what the connection tells it.
 *
 * It lives as long as its client and serves one person at a time (`person_messages.ts`).
 */
import { ConversationHandle, toIdentity } from "./conversation.js";
import { SteadyStore } from "./durable_store.js";
import type { Environment } from "./environment.js";
import { CountersignError, codeBadRequest, codeBadState, codeLimitExceeded, codeTerminated } from "./errors.js";
import { notePrefix } from "./inbox_runner.js";
import { PatientEmitter } from "./listeners.js";
import type { Log } from "./log.js";
import type {
  Conversation,
  ConversationInfo,
  ConversationInput,
  ListOptions,
  MessageContent,
  MessageEvents,
  MessageListener,
  Messages,
  Page,
  Presence,
  Sending,
  SentMessage,
  UserInput,
} from "./message_types.js";
import { decodeConversation, decodeIdentities, list, present } from "./message_wire.js";
import { maxUnsent, type OutboxRecord, type OutboxTarget } from "./outbox.js";
import { PersonMessages, personKey, type Owner } from "./person_messages.js";
import { PresenceBook, TypingBook } from "./presence.js";
import { own, stringIn, type Body } from "./protocol.js";
import type { Progress } from "./receipts.js";
import type { SendCommand } from "./requests.js";
import { TrackedMessage } from "./sent_message.js";
import type { Identity } from "./types.js";
import { timeOfUuid7, uuid7 } from "./uuid.js";

/** The client under the messages. */
export interface HubHost {
  readonly environment: Environment;
  readonly log: Log;
  readonly send: SendCommand;
  /** Milliseconds since 1970 by the server's clock, as far as it is known. */
  readonly serverNow: () => number;
  /** Whether the client has been started. */
  readonly running: () => boolean;
}

/** An id from further ahead than any clock is wrong is not followed. */
const maxClockErrorMs = 24 * 3_600_000;

export class MessageHub implements Messages {
  readonly #host: HubHost;
  readonly #emitter: PatientEmitter<MessageEvents>;
  readonly #presence: PresenceBook;
  readonly #typing: TypingBook;
  #store: Promise<SteadyStore> | null = null;
  #life: PersonMessages | null = null;
  #preparing: Promise<Body> = Promise.resolve({});
  #connected = false;
  /** The page lay in the back/forward cache since the last connect. */
  #wasParked = false;
  /** Who waits for the person to be known. */
  #waiting: { readonly resolve: (life: PersonMessages) => void; readonly reject: (error: CountersignError) => void }[] = [];
  /** Messages on their way into the queue. */
  #entering = 0;
  readonly #reads = new Map<string, number>();
  #lastIdTime = 0;

  constructor(host: HubHost) {
    this.#host = host;
    this.#emitter = new PatientEmitter((name) =>
      host.log.write("warn", `A listener of "${name}" took longer than 30 s: its message counts as handled`),
    );
    // A restored store may know of less: what is read there is told from the beginning.
    this.#emitter.on("reset", () => this.#reads.clear());
    this.#presence = new PresenceBook(() => (this.#connected ? (this.#life?.requests ?? null) : null));
    this.#typing = new TypingBook(host.send, host.environment.now, (event) => void this.#emitter.emit("typing", event));
  }

  // What the page calls.

  on<Name extends keyof MessageEvents>(name: Name, listener: MessageListener<MessageEvents[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }

  off<Name extends keyof MessageEvents>(name: Name, listener: MessageListener<MessageEvents[Name]>): void {
    this.#emitter.off(name, listener);
  }

  conversation(target: ConversationInput): Conversation {
    return new ConversationHandle(this, toTarget(target));
  }

  async conversations({ limit, after }: ListOptions = {}): Promise<Page<ConversationInfo>> {
    const reply = await this.ask("conversations", {
      ...(limit === undefined ? {} : { limit }),
      ...(after === undefined ? {} : { after }),
    });
    const self = this.self();
    const items = list(own(reply, "conversations"))
      .map((value) => decodeConversation(value, self))
      .filter(present);
    for (const info of items) this.learn(info);
    const next = stringIn(reply, "next");
    return next === null ? { items } : { items, next };
  }

  async createGroup(name: string, users: readonly UserInput[]): Promise<Conversation> {
    const reply = await this.ask("group", {
      msg_id: this.newId(),
      action: "create",
      name,
      users: users.map(toIdentity),
    });
    return new ConversationHandle(this, { conv: stringIn(reply, "conv") ?? "" });
  }

  async block(user: UserInput): Promise<void> {
    await this.ask("block", { user: toIdentity(user) });
  }

  async unblock(user: UserInput): Promise<void> {
    await this.ask("unblock", { user: toIdentity(user) });
  }

  async blocked(): Promise<readonly Identity[]> {
    return decodeIdentities(own(await this.ask("blocked", {}), "users"));
  }

  watch(users: readonly UserInput[], listener: (presence: Presence) => void): () => void {
    return this.#presence.watch(users.map(toIdentity), listener);
  }

  unwatch(users: readonly UserInput[]): void {
    this.#presence.unwatch(users.map(toIdentity));
  }

  setAway(away: boolean): void {
    this.#presence.setAway(away);
  }

  async unsent(): Promise<readonly SentMessage[]> {
    const life = await this.#person();
    return life.outbox.records.map((record) => life.track(record));
  }

  get unsentCount(): number {
    return this.#entering + (this.#life?.outbox.count ?? 0);
  }

  retry({ id, state }: SentMessage): void {
    const known = this.#life?.outbox.records.some((record) => record.id === id) ?? false;
    if (state !== "failed" || !known) throw new CountersignError(codeBadState, "Only a failed message can be retried.");
    this.#life?.outbox.retry(id);
  }

  discard({ id }: SentMessage): void {
    this.#life?.outbox.discard(id);
  }

  // What conversations call.

  /** @throws CountersignError 105 while nobody has signed in. */
  self(): Identity {
    if (this.#life === null) throw new CountersignError(codeBadState, "Connect first.");
    return this.#life.owner.identity;
  }

  async ask(verb: string, body: Body): Promise<Body> {
    return (await this.#person()).requests.ask(verb, body);
  }

  /** An id for something new; they sort in the order in which they were made. */
  newId(): string {
    this.#lastIdTime = Math.max(this.#lastIdTime + 1, Math.floor(this.#host.serverNow()));
    return uuid7(this.#lastIdTime, this.#host.environment.randomBytes(10));
  }

  /** Messages written after those that were kept sort after them, also if the clock was set back since. */
  #followId(id: string): void {
    const time = timeOfUuid7(id);
    if (time < this.#host.serverNow() + maxClockErrorMs) this.#lastIdTime = Math.max(this.#lastIdTime, time);
  }

  /** @param id  made by `newId`, where the caller had to know it before. */
  send(target: OutboxTarget, content: MessageContent, id = this.newId()): Sending {
    const created = this.#host.serverNow();
    const record: OutboxRecord = { id, target, content, created, attempted: false, failure: null };
    const self = this.#life?.owner.identity ?? { type: "", endpoint: "" };
    const message = new TrackedMessage(record, self);
    const refusal = this.#refusalOf(content);
    if (refusal !== null) message.failed(refusal);
    else void this.#enqueue(record, message);
    return Object.assign(message.accepted, { message });
  }

  /** To whom a message of this page was addressed; empty when it was not one. */
  recipientsOf(id: string): readonly Identity[] {
    const target = this.#life?.sent.get(id)?.target;
    return Array.isArray(target) ? (target as readonly Identity[]) : [];
  }

  conversationOf(lane: string): string | null {
    return this.#life?.conversationOf(lane) ?? null;
  }

  same(lane: string, conversation: string): void {
    this.#life?.same(lane, conversation);
  }

  /** Takes over what a conversation's state says of receipts. */
  learn(info: ConversationInfo): void {
    this.#life?.learn(info);
  }

  progress(conversation: string, seq: number): Progress {
    return this.#life?.receipts.progress(conversation, seq) ?? { delivered: 0, read: 0, of: null };
  }

  /** Only ever forward, and only the furthest is told. */
  async markRead(lane: string, address: Body, seq: number): Promise<void> {
    const before = this.#reads.get(lane) ?? 0;
    if (seq <= before) return;
    this.#reads.set(lane, seq);
    const life = await this.#person();
    if (this.#reads.get(lane) !== seq) return;
    try {
      await life.requests.ask("read", { ...address, seq });
    } catch (thrown) {
      if (this.#reads.get(lane) === seq) this.#reads.set(lane, before);
      throw thrown;
    }
  }

  tellTyping(lane: string, address: Body, active: boolean): void {
    this.#typing.tell(lane, address, active);
  }

  // What the connection tells.

  /**
   * Becomes the messages of this person on this device, and says what `connect` has to show.
   * Called before every connect, with the same owner or another.
   */
  prepare(owner: Owner): Promise<Body> {
    // One after the other: a connection may be lost while it waits for the storage, and the next one come.
    this.#preparing = this.#preparing.then(() => this.#prepare(owner));
    return this.#preparing;
  }

  async #prepare(owner: Owner): Promise<Body> {
    if (this.#life?.person !== personKey(owner) || this.#life.owner.device !== owner.device) {
      this.#endLife();
      const store = await this.#openStore();
      const life = new PersonMessages(owner, store, this.#host, this.#emitter, this.#typing);
      await life.load();
      for (const { id } of life.outbox.records) this.#followId(id);
      this.#life = life;
      for (const { resolve } of this.#waiting.splice(0)) resolve(life);
    } else if (this.#wasParked) {
      await this.#life.inbox.reload();
    }
    this.#wasParked = false;
    return this.#life?.inbox.resume ?? {};
  }

  /** @param inbox  the member of the reply to `connect`. */
  connected(inbox: unknown): void {
    if (this.#life === null) return;
    this.#connected = true;
    this.#life.connected(inbox);
    this.#presence.connected();
  }

  disconnected(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#life?.disconnected();
  }

  push(name: string, body: Body): void {
    if (this.#life === null || this.#life.push(name, body)) return;
    if (name === "typing") this.#typing.push(body);
    else if (name === "presence") this.#presence.push(body);
  }

  /** The page goes into the back/forward cache: another one may be this device before it comes back. */
  parked(): void {
    this.#wasParked = true;
  }

  /** The client has stopped; the page may start it again, also for somebody else. */
  stopped(): void {
    this.disconnected();
    this.#typing.stop();
    this.#life?.requests.stop();
    for (const { reject } of this.#waiting.splice(0)) reject(new CountersignError(codeTerminated));
  }

  /** The device's instance has been ended: its note is worth nothing, its unsent messages stay. */
  terminated(): void {
    const life = this.#life;
    if (life === null) return;
    if (life.outbox.count > 0) void this.#emitter.emit("unsent", { count: life.outbox.count, why: "terminate" });
    void life.inbox.forget();
    this.#endLife();
  }

  /** Tells the page that somebody wants to sign out while messages wait. */
  warnUnsent(): void {
    void this.#emitter.emit("unsent", { count: this.unsentCount, why: "sign_out" });
  }

  /** Removes everything of the person from this browser: unsent messages and the notes of all devices. */
  async wipe(): Promise<void> {
    const life = this.#life;
    if (life === null) return;
    const store = this.#openStore();
    const queue = life.outbox.wipe();
    this.#endLife();
    await Promise.all([queue, store.then((opened) => opened.removeAll(notePrefix(life.person)))]);
  }

  // Lives.

  #openStore(): Promise<SteadyStore> {
    this.#store ??= this.#host.environment.openStore().then((store) => {
      if (store.kind === "memory") {
        this.#host.log.write("warn", "This browser keeps nothing for this page: unsent messages end with it");
      }
      return new SteadyStore(store, (kind, thrown) => {
        const why = thrown instanceof Error ? thrown.name : "error";
        this.#host.log.write("error", `Storage (${kind}) failed, going on in memory: ${why}`);
      });
    });
    return this.#store;
  }

  #endLife(): void {
    const life = this.#life;
    if (life === null) return;
    this.#life = null;
    this.#connected = false;
    life.stop();
    this.#reads.clear();
  }

  /** Settles when it is known whose messages these are. */
  #person(): Promise<PersonMessages> {
    if (this.#life !== null) return Promise.resolve(this.#life);
    if (!this.#host.running()) return Promise.reject(new CountersignError(codeBadState, "Connect first."));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  // Sending.

  #refusalOf({ text, headers, attachments }: MessageContent): CountersignError | null {
    if (this.unsentCount >= maxUnsent) {
      return new CountersignError(codeLimitExceeded, `${maxUnsent} messages are waiting to be sent already.`);
    }
    if (text || attachments?.length || (headers && Object.keys(headers).length > 0)) return null;
    return new CountersignError(codeBadRequest, "The message is empty.");
  }

  async #enqueue(record: OutboxRecord, message: TrackedMessage): Promise<void> {
    let added: Promise<void>;
    ++this.#entering;
    try {
      const life = await this.#person();
      added = life.add(record, message);
    } catch (thrown) {
      message.failed(thrown instanceof CountersignError ? thrown : new CountersignError(codeTerminated));
      return;
    } finally {
      --this.#entering;
    }
    await added;
  }
}

function toTarget(input: ConversationInput): OutboxTarget {
  if (typeof input === "object" && "conv" in input) return { conv: input.conv };
  const users = Array.isArray(input) ? (input as readonly UserInput[]) : [input as UserInput];
  if (users.length === 0 || users.length > 10) {
    throw new CountersignError(codeBadRequest, "A conversation is addressed to one to ten users.");
  }
  return { to: users.map(toIdentity) };
}
