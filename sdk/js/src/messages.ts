/**
 * The message client: what the page calls and hears (`Messages`), and what the connection tells it.
 *
 * It lives as long as its client and serves one person at a time (`Person`): the inbox of this device, the
 * queue of unsent messages, receipts and presence are that person's, and end with them.
 */
import { ConversationHandle, toIdentity } from "./conversation.js";
import { SteadyStore } from "./durable_store.js";
import type { Environment } from "./environment.js";
import {
  CountersignError,
  codeBadRequest,
  codeBadState,
  codeLimitExceeded,
  codeTerminated,
} from "./errors.js";
import { InboxRunner, notePrefix } from "./inbox_runner.js";
import { PatientEmitter } from "./listeners.js";
import type { Log } from "./log.js";
import type {
  Conversation,
  ConversationInfo,
  ConversationInput,
  ListOptions,
  Message,
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
import {
  decodeConversation,
  decodeIdentities,
  decodeInbox,
  decodeMessage,
  decodeReceipt,
  decodeTold,
  list,
  present,
  type Entry,
  type Told,
} from "./message_wire.js";
import { laneOf, maxUnsent, type Acceptance, type OutboxRecord, type OutboxTarget } from "./outbox.js";
import { OutboxRunner } from "./outbox_runner.js";
import { identityKey, PresenceBook, TypingBook } from "./presence.js";
import { own, stringIn, type Body } from "./protocol.js";
import { ReceiptBook, type Progress } from "./receipts.js";
import { Requests, type SendCommand } from "./requests.js";
import { TrackedMessage } from "./sent_message.js";
import type { Identity } from "./types.js";
import { uuid7 } from "./uuid.js";

/** Whose messages these are, on which device. */
export interface Owner {
  readonly gateway: string;
  readonly applicationKey: string;
  readonly identity: Identity;
  readonly device: string;
}

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

/** What belongs to one person on one device. */
interface Life {
  readonly owner: Owner;
  readonly person: string;
  readonly inbox: InboxRunner;
  readonly outbox: OutboxRunner;
  readonly requests: Requests;
  readonly receipts: ReceiptBook;
  readonly sent: Map<string, TrackedMessage>;
}

/** Sent messages whose receipts are followed; the oldest are let go. */
const maxFollowed = 1_000;
/** Conversations whose state is asked for after a reconnect. */
const maxCaughtUp = 20;
/** (sender, id) of messages that listeners have had, to recognise a repeat under another offset. */
const maxSeen = 4_096;
const fetchLimitMs = 5_000;

export class MessageHub implements Messages {
  readonly #host: HubHost;
  readonly #emitter: PatientEmitter<MessageEvents>;
  readonly #presence: PresenceBook;
  readonly #typing: TypingBook;
  #store: Promise<SteadyStore> | null = null;
  #life: Life | null = null;
  #connected = false;
  /** Conversations of users, once the server has told them. */
  readonly #conversations = new Map<string, string>();
  /** Who waits for the person to be known. */
  #waiting: { readonly resolve: (life: Life) => void; readonly reject: (error: CountersignError) => void }[] = [];
  /** Messages on their way into the queue. */
  #entering = 0;
  readonly #seen = new Set<string>();
  readonly #reads = new Map<string, number>();
  #lastIdTime = 0;

  constructor(host: HubHost) {
    this.#host = host;
    this.#emitter = new PatientEmitter((name) =>
      host.log.write("warn", `A listener of "${name}" took longer than 30 s: its message counts as handled`),
    );
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
    return life.outbox.records.map((record) => this.#track(life, record));
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
    return this.#conversations.get(lane) ?? null;
  }

  same(lane: string, conversation: string): void {
    this.#conversations.set(lane, conversation);
    this.#life?.outbox.same(lane, conversation);
  }

  /** Takes over what a conversation's state says of receipts. */
  learn(info: ConversationInfo): void {
    for (const receipt of this.#life?.receipts.learn(info) ?? []) void this.#emitter.emit("receipts", receipt);
    this.#progressed(info.conversation);
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
  async prepare(owner: Owner): Promise<Body> {
    const { identity } = owner;
    const person = [owner.gateway, owner.applicationKey, identity.type, identity.endpoint]
      .map(encodeURIComponent)
      .join("/");
    if (this.#life?.person !== person || this.#life.owner.device !== owner.device) {
      this.#endLife();
      const store = await this.#openStore();
      const life = this.#makeLife(owner, person, store);
      await Promise.all([life.inbox.load(), life.outbox.load()]);
      this.#life = life;
      for (const { resolve } of this.#waiting.splice(0)) resolve(life);
    }
    return this.#life?.inbox.resume ?? {};
  }

  /** @param inbox  the member of the reply to `connect`. */
  connected(inbox: unknown): void {
    const life = this.#life;
    if (life === null) return;
    this.#connected = true;
    const state = decodeInbox(inbox);
    if (state !== null) life.inbox.connected(state);
    else this.#host.log.write("warn", "This server carries no messages for this client");
    life.requests.connected();
    life.outbox.connected();
    this.#presence.connected();
    void this.#catchUp(life);
  }

  disconnected(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#life?.inbox.disconnected();
    this.#life?.requests.disconnected();
    this.#life?.outbox.disconnected();
  }

  push(name: string, body: Body): void {
    const life = this.#life;
    if (life === null || life.inbox.push(name, body)) return;
    if (name === "receipts") {
      const receipt = decodeReceipt(body);
      if (receipt === null) return;
      life.receipts.note(receipt);
      this.#progressed(receipt.conversation);
      void this.#emitter.emit("receipts", receipt);
    } else if (name === "typing") {
      this.#typing.push(body);
    } else if (name === "presence") {
      this.#presence.push(body);
    }
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

  #makeLife(owner: Owner, person: string, store: SteadyStore): Life {
    const { environment, log, send, serverNow } = this.#host;
    const { identity, device } = owner;
    const requests = new Requests(send);
    const receipts = new ReceiptBook(identity);
    const sent = new Map<string, TrackedMessage>();
    const inbox = new InboxRunner(environment, person, identity, device, store, log, send, {
      hand: (entry, redelivered) => this.#hand(life, entry, redelivered),
      reset: (reason) => void this.#emitter.emit("reset", { reason }),
      recovered: (missed) => void this.#emitter.emit("recovered", { missed }),
    });
    const outbox = new OutboxRunner(environment, person, store, log, send, serverNow, {
      sending: (id) => sent.get(id)?.sending(),
      queued: (id) => sent.get(id)?.queued(),
      accepted: (record, acceptance) => this.#onAccepted(life, record, acceptance),
      failed: (record, error) => this.#track(life, record).failed(error),
      discarded: (id) => sent.get(id)?.failed(new CountersignError(codeTerminated, "It was discarded.")),
      count: (count) => void this.#emitter.emit("unsent", { count, why: "changed" }),
    });
    const life: Life = { owner, person, inbox, outbox, requests, receipts, sent };
    return life;
  }

  #endLife(): void {
    const life = this.#life;
    if (life === null) return;
    this.#life = null;
    this.#connected = false;
    life.inbox.stop();
    life.outbox.stop();
    life.requests.stop();
    this.#seen.clear();
    this.#reads.clear();
    this.#conversations.clear();
  }

  /** Settles when it is known whose messages these are. */
  #person(): Promise<Life> {
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
      life.sent.set(record.id, message);
      this.#typing.sent(laneOf(record.target));
      added = life.outbox.add(record);
    } catch (thrown) {
      message.failed(thrown instanceof CountersignError ? thrown : new CountersignError(codeTerminated));
      return;
    } finally {
      --this.#entering;
    }
    await added;
  }

  #track(life: Life, record: OutboxRecord): TrackedMessage {
    const known = life.sent.get(record.id);
    if (known !== undefined) return known;
    const message = new TrackedMessage(record, life.owner.identity);
    life.sent.set(record.id, message);
    if (record.failure !== null) message.failed(new CountersignError(record.failure.code, record.failure.message));
    return message;
  }

  #onAccepted(life: Life, record: OutboxRecord, acceptance: Acceptance): void {
    this.same(laneOf(record.target), acceptance.conversation);
    const message = this.#track(life, record);
    message.wasAccepted(acceptance);
    message.progressed(life.receipts.progress(acceptance.conversation, acceptance.seq, message.recipients));
    if (message.recipients === null && !life.receipts.knows(acceptance.conversation)) {
      void this.#refreshState(life, acceptance.conversation);
    }
    for (const [id, { state }] of life.sent) {
      if (life.sent.size <= maxFollowed) break;
      if (state !== "queued" && state !== "sending") life.sent.delete(id);
    }
  }

  #progressed(conversation: string): void {
    const life = this.#life;
    for (const message of life?.sent.values() ?? []) {
      if (life === null || message.conversation !== conversation || message.seq === null) continue;
      message.progressed(life.receipts.progress(conversation, message.seq, message.recipients));
    }
  }

  /** Receipts that came while there was no connection are gone; the conversations' state has them. */
  async #catchUp(life: Life): Promise<void> {
    const open = [...life.sent.values()].filter(({ state }) => state === "accepted" || state === "delivered");
    const conversations = new Set(open.reverse().map(({ conversation }) => conversation).filter(present));
    for (const conversation of [...conversations].slice(0, maxCaughtUp)) {
      if (this.#life !== life || !this.#connected) return;
      await this.#refreshState(life, conversation);
    }
  }

  async #refreshState(life: Life, conversation: string): Promise<void> {
    try {
      const info = decodeConversation(await life.requests.ask("conversation", { conv: conversation }), life.owner.identity);
      if (info !== null && this.#life === life) this.learn(info);
    } catch {
      // Receipts still come as pushes.
    }
  }

  // Receiving.

  /** Hands one entry of the inbox to the page; settles when the page is done with it. */
  async #hand(life: Life, entry: Entry, redelivered: boolean): Promise<void> {
    const told = decodeTold(entry.body, life.owner.identity, redelivered);
    if (told === null) {
      this.#host.log.write("error", `Entry ${entry.offset} of the inbox cannot be understood and is passed over`);
      return;
    }
    switch (told.kind) {
      case "message":
        await this.#emitter.someone("message");
        this.#typing.wrote(told.message.conversation, told.message.from);
        await this.#emitter.emit("message", this.#recognise(told.message));
        break;
      case "sent":
        this.#settle(life, told.message);
        await this.#emitter.emit("sent", this.#recognise(told.message));
        break;
      case "group":
        await this.#emitter.emit("group", this.#recognise(told.message));
        break;
      case "stub":
        await this.#onStub(life, told, redelivered);
        break;
      case "failed":
        life.sent.get(told.id)?.notDelivered(told.error);
        await this.#emitter.emit("failed", { ...told, redelivered });
        break;
      case "gone":
        await this.#emitter.emit("gone", { conversation: told.conversation, seq: told.seq });
        break;
      case "unknown":
        break;
    }
  }

  /** Marks a message that listeners of this page have had under another offset. */
  #recognise(message: Message): Message {
    const key = `${identityKey(message.from)} ${message.id}`;
    const repeated = this.#seen.has(key);
    this.#seen.add(key);
    const [oldest] = this.#seen;
    if (this.#seen.size > maxSeen && oldest !== undefined) this.#seen.delete(oldest);
    return repeated && !message.redelivered ? { ...message, redelivered: true } : message;
  }

  /** The inbox has a message of this user: it is accepted, whatever became of the answer. */
  #settle(life: Life, { id, conversation, seq, time }: Message): void {
    const acceptance = { conversation, seq, time: time.getTime(), leftOut: [] };
    life.outbox.settled(id, acceptance);
    const message = life.sent.get(id);
    if (message !== undefined && message.seq === null) message.wasAccepted(acceptance);
  }

  /** This device sent it: the inbox has only its place. Its text is here, or else in the history. */
  async #onStub(life: Life, { conversation, seq, id }: Extract<Told, { kind: "stub" }>, redelivered: boolean): Promise<void> {
    life.outbox.settled(id, { conversation, seq, leftOut: [] });
    const message = life.sent.get(id);
    if (message !== undefined && message.seq === null) message.wasAccepted({ conversation, seq, leftOut: [] });
    if (!this.#emitter.has("sent")) return;
    const copy = message === undefined ? await this.#fetch(life, conversation, seq) : ownCopy(life, message);
    if (copy !== null) await this.#emitter.emit("sent", this.#recognise({ ...copy, redelivered }));
  }

  async #fetch(life: Life, conversation: string, seq: number): Promise<Message | null> {
    try {
      const reply = await life.requests.ask("history", { conv: conversation, before: seq + 1, limit: 1 }, fetchLimitMs);
      const [found] = list(own(reply, "messages"));
      const message = decodeMessage(found, life.owner.identity);
      return message?.seq === seq && message.kind === "message" ? message : null;
    } catch {
      return null;
    }
  }
}

/** A sent message as its other readers see it. */
function ownCopy({ owner }: Life, sent: TrackedMessage): Message {
  const { text = "", headers = {}, attachments = [], expiresIn } = sent.content;
  const time = sent.time ?? sent.created;
  const to = Array.isArray(sent.target) && sent.target.length > 1 ? [...(sent.target as Identity[]), owner.identity] : [];
  return {
    kind: "message",
    id: sent.id,
    conversation: sent.conversation ?? "",
    seq: sent.seq ?? 0,
    from: owner.identity,
    to,
    time,
    text,
    headers,
    attachments,
    group: (sent.conversation ?? "").startsWith("g-"),
    outgoing: true,
    redelivered: false,
    ...(expiresIn === undefined ? {} : { expires: new Date(time.getTime() + expiresIn * 1_000) }),
  };
}

function toTarget(input: ConversationInput): OutboxTarget {
  if (typeof input === "object" && "conv" in input) return { conv: input.conv };
  const users = Array.isArray(input) ? (input as readonly UserInput[]) : [input as UserInput];
  if (users.length === 0 || users.length > 10) {
    throw new CountersignError(codeBadRequest, "A conversation is addressed to one to ten users.");
  }
  return { to: users.map(toIdentity) };
}
