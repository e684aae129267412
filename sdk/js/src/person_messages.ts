/**
 * The messages of one person on one device: the inbox, the queue of unsent messages, receipts, and the sent
 * messages whose fate the page follows. It begins when the person is known and ends with them; `messages.ts`
 * holds at most one.
 */
import type { SteadyStore } from "./durable_store.js";
import { CountersignError, codeTerminated } from "./errors.js";
import { InboxRunner } from "./inbox_runner.js";
import type { PatientEmitter } from "./listeners.js";
import type { ConversationInfo, Message, MessageEvents } from "./message_types.js";
import {
  decodeConversation,
  decodeInbox,
  decodeMessage,
  decodeReceipt,
  decodeTold,
  list,
  present,
  type Entry,
  type Told,
} from "./message_wire.js";
import type { HubHost } from "./messages.js";
import { laneOf, type Acceptance, type OutboxRecord } from "./outbox.js";
import { OutboxRunner } from "./outbox_runner.js";
import { identityKey, type TypingBook } from "./presence.js";
import { own, type Body } from "./protocol.js";
import { ReceiptBook } from "./receipts.js";
import { Requests } from "./requests.js";
import { TrackedMessage } from "./sent_message.js";
import type { Identity } from "./types.js";

/** Whose messages these are, on which device. */
export interface Owner {
  readonly gateway: string;
  readonly applicationKey: string;
  readonly identity: Identity;
  readonly device: string;
}

/** Names a person in the storage of this browser. */
export function personKey({ gateway, applicationKey, identity }: Owner): string {
  return [gateway, applicationKey, identity.type, identity.endpoint].map(encodeURIComponent).join("/");
}

/** Sent messages whose receipts are followed; the oldest are let go. */
const maxFollowed = 1_000;
/** Conversations whose state is asked for after a reconnect. */
const maxCaughtUp = 20;
/** (sender, id) of messages that listeners have had, to recognise a repeat under another offset. */
const maxSeen = 4_096;
const fetchLimitMs = 5_000;

export class PersonMessages {
  readonly owner: Owner;
  readonly person: string;
  readonly inbox: InboxRunner;
  readonly outbox: OutboxRunner;
  readonly requests: Requests;
  readonly receipts: ReceiptBook;
  readonly sent = new Map<string, TrackedMessage>();
  readonly #host: HubHost;
  readonly #emitter: PatientEmitter<MessageEvents>;
  readonly #typing: TypingBook;
  /** Conversations of users, once the server has told them. */
  readonly #conversations = new Map<string, string>();
  readonly #seen = new Set<string>();
  #connected = false;

  constructor(
    owner: Owner,
    store: SteadyStore,
    host: HubHost,
    emitter: PatientEmitter<MessageEvents>,
    typing: TypingBook,
  ) {
    const { environment, log, send, serverNow } = host;
    const { identity, device } = owner;
    const { sent } = this;
    this.owner = owner;
    this.person = personKey(owner);
    this.#host = host;
    this.#emitter = emitter;
    this.#typing = typing;
    this.requests = new Requests(send);
    this.receipts = new ReceiptBook(identity);
    this.inbox = new InboxRunner(environment, this.person, identity, device, store, log, send, {
      hand: (entry, redelivered) => this.#hand(entry, redelivered),
      reset: (reason) => void emitter.emit("reset", { reason }),
      recovered: (missed) => void emitter.emit("recovered", { missed }),
    });
    this.outbox = new OutboxRunner(environment, this.person, store, log, send, serverNow, {
      sending: (id) => sent.get(id)?.sending(),
      queued: (id) => sent.get(id)?.queued(),
      accepted: (record, acceptance) => this.#onAccepted(record, acceptance),
      failed: (record, error) => this.track(record).failed(error),
      discarded: (id) => sent.get(id)?.failed(new CountersignError(codeTerminated, "It was discarded.")),
      count: (count) => void emitter.emit("unsent", { count, why: "changed" }),
    });
  }

  /** Takes up what the storage has; before the first `connect`. */
  async load(): Promise<void> {
    await Promise.all([this.inbox.load(), this.outbox.load()]);
  }

  /** @param inbox  the member of the reply to `connect`. */
  connected(inbox: unknown): void {
    this.#connected = true;
    const state = decodeInbox(inbox);
    if (state !== null) this.inbox.connected(state);
    else this.#host.log.write("warn", "This server carries no messages for this client");
    this.requests.connected();
    this.outbox.connected();
    void this.#catchUp();
  }

  disconnected(): void {
    this.#connected = false;
    this.inbox.disconnected();
    this.requests.disconnected();
    this.outbox.disconnected();
  }

  /** @return whether the push was for this part. */
  push(name: string, body: Body): boolean {
    if (this.inbox.push(name, body)) return true;
    if (name !== "receipts") return false;
    const receipt = decodeReceipt(body);
    if (receipt === null) return true;
    this.receipts.note(receipt);
    this.#progressed(receipt.conversation);
    void this.#emitter.emit("receipts", receipt);
    return true;
  }

  /** Nothing is done or told after this. */
  stop(): void {
    this.#connected = false;
    this.inbox.stop();
    this.outbox.stop();
    this.requests.stop();
  }

  conversationOf(lane: string): string | null {
    return this.#conversations.get(lane) ?? null;
  }

  /** These users are that conversation. */
  same(lane: string, conversation: string): void {
    this.#conversations.set(lane, conversation);
    this.outbox.same(lane, conversation);
  }

  /** Takes over what a conversation's state says of receipts. */
  learn(info: ConversationInfo): void {
    for (const receipt of this.receipts.learn(info)) void this.#emitter.emit("receipts", receipt);
    this.#progressed(info.conversation);
  }

  /** Keeps a message and follows it. Settles when it is kept. */
  add(record: OutboxRecord, message: TrackedMessage): Promise<void> {
    this.sent.set(record.id, message);
    this.#typing.sent(laneOf(record.target));
    return this.outbox.add(record);
  }

  /** The message of a record, as the page has it or will have it. */
  track(record: OutboxRecord): TrackedMessage {
    const known = this.sent.get(record.id);
    if (known !== undefined) return known;
    const message = new TrackedMessage(record, this.owner.identity);
    this.sent.set(record.id, message);
    if (record.failure !== null) message.failed(new CountersignError(record.failure.code, record.failure.message));
    return message;
  }

  #onAccepted(record: OutboxRecord, acceptance: Acceptance): void {
    this.same(laneOf(record.target), acceptance.conversation);
    const message = this.track(record);
    message.wasAccepted(acceptance);
    message.progressed(this.receipts.progress(acceptance.conversation, acceptance.seq, message.recipients));
    if (message.recipients === null && !this.receipts.knows(acceptance.conversation)) {
      void this.#refreshState(acceptance.conversation);
    }
    for (const [id, { state }] of this.sent) {
      if (this.sent.size <= maxFollowed) break;
      if (state !== "queued" && state !== "sending") this.sent.delete(id);
    }
  }

  #progressed(conversation: string): void {
    for (const message of this.sent.values()) {
      if (message.conversation !== conversation || message.seq === null) continue;
      message.progressed(this.receipts.progress(conversation, message.seq, message.recipients));
    }
  }

  /** Receipts that came while there was no connection are gone; the conversations' state has them. */
  async #catchUp(): Promise<void> {
    const open = [...this.sent.values()].filter(({ state }) => state === "accepted" || state === "delivered");
    const conversations = new Set(open.reverse().map(({ conversation }) => conversation).filter(present));
    for (const conversation of [...conversations].slice(0, maxCaughtUp)) {
      if (!this.#connected) return;
      await this.#refreshState(conversation);
    }
  }

  async #refreshState(conversation: string): Promise<void> {
    try {
      const info = decodeConversation(await this.requests.ask("conversation", { conv: conversation }), this.owner.identity);
      if (info !== null && this.#connected) this.learn(info);
    } catch {
      // Receipts still come as pushes.
    }
  }

  // Receiving.

  /** Hands one entry of the inbox to the page; settles when the page is done with it. */
  async #hand(entry: Entry, redelivered: boolean): Promise<void> {
    const told = decodeTold(entry.body, this.owner.identity, redelivered);
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
        this.#settle(told.message);
        await this.#emitter.emit("sent", this.#recognise(told.message));
        break;
      case "group":
        await this.#emitter.emit("group", this.#recognise(told.message));
        break;
      case "stub":
        await this.#onStub(told, redelivered);
        break;
      case "failed":
        this.#onMissed(told);
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
  #settle({ id, conversation, seq, time }: Message): void {
    const acceptance = { conversation, seq, time: time.getTime(), leftOut: [] };
    this.outbox.settled(id, acceptance);
    const message = this.sent.get(id);
    if (message !== undefined && message.seq === null) message.wasAccepted(acceptance);
  }

  /** Somebody never got what this user sent, perhaps while this device waited for the answer to it. */
  #onMissed({ conversation, seq, id, user, error }: Extract<Told, { kind: "failed" }>): void {
    const missed = this.receipts.miss(conversation, seq, user);
    this.outbox.settled(id, { conversation, seq, leftOut: [] });
    const message = this.sent.get(id);
    if (message === undefined) return;
    if (message.seq === null) message.wasAccepted({ conversation, seq, leftOut: [] });
    message.notDelivered(error, missed, this.receipts.progress(conversation, seq, message.recipients));
  }

  /** This device sent it: the inbox has only its place. Its text is here, or else in the history. */
  async #onStub({ conversation, seq, id }: Extract<Told, { kind: "stub" }>, redelivered: boolean): Promise<void> {
    this.outbox.settled(id, { conversation, seq, leftOut: [] });
    const message = this.sent.get(id);
    if (message !== undefined && message.seq === null) message.wasAccepted({ conversation, seq, leftOut: [] });
    if (!this.#emitter.has("sent")) return;
    const copy = message === undefined ? await this.#fetch(conversation, seq) : ownCopy(this.owner, message);
    if (copy !== null) await this.#emitter.emit("sent", this.#recognise({ ...copy, redelivered }));
  }

  async #fetch(conversation: string, seq: number): Promise<Message | null> {
    try {
      const reply = await this.requests.ask("history", { conv: conversation, before: seq + 1, limit: 1 }, fetchLimitMs);
      const [found] = list(own(reply, "messages"));
      const message = decodeMessage(found, this.owner.identity);
      return message?.seq === seq && message.kind === "message" ? message : null;
    } catch {
      return null;
    }
  }
}

/** A sent message as its other readers see it. */
function ownCopy(owner: Owner, sent: TrackedMessage): Message {
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
