/**
 * The message client of the classic SDK over the modern one.
 *
 * Listeners get what pages of the classic JavaScript SDK expect: `onIncomingMessage(message)`, also for what this
 * user sends, here or elsewhere (`message.direction` is then `true`), and `onMessageDelivered(info)`. The message
 * client comes after that, as last argument.
 */
import { toIdentity } from "./conversation.js";
import type { Environment } from "./environment.js";
import { CountersignError, codeBadRequest, codeBadState } from "./errors.js";
import { reportListenerFailure, type LogEntry } from "./log.js";
import type { FailedEvent, Message, MessageContent, ReceiptEvent } from "./message_types.js";
import type { MessageHub } from "./messages.js";
import { identityKey } from "./presence.js";
import { ProgressPromise } from "./promise.js";
import { sameIdentity } from "./ticket.js";
import type { Identity } from "./types.js";
import { uuid7 } from "./uuid.js";

/** A user name, `{type, endpoint}`, or `{identity}` as the classic SDK had it. */
export type Recipient =
  | string
  | Identity
  | { readonly identity: string; readonly type?: string | undefined };

export interface MessageDeliveryInfo {
  readonly messageId: string;
  readonly recipientId: string;
  readonly timestamp: Date;
}

export interface MessageFailureInfo {
  readonly messageId: string;
  /** Absent when the message was not accepted for anybody. */
  readonly recipientId: string | undefined;
  readonly error: CountersignError;
}

export interface MessageClientListener {
  onIncomingMessage?(message: ClassicMessage, client: MessageClient): unknown;
  onMessageSent?(message: ClassicMessage, recipientId: string, client: MessageClient): unknown;
  onMessageDelivered?(info: MessageDeliveryInfo, client: MessageClient): unknown;
  onMessageFailed?(message: ClassicMessage, info: MessageFailureInfo, client: MessageClient): unknown;
}

export class ClassicMessage {
  readonly messageId: string;
  /** User names, or the endpoints of other identities. */
  readonly recipientIds: readonly string[];
  senderId: string | null;
  readonly textBody: string;
  timestamp: Date;
  readonly headers: Record<string, string>;
  /** `true`: of this user, `false`: to this user. */
  readonly direction: boolean;
  /** A listener may have had it before. */
  readonly redelivered: boolean;
  /** The last delivery of a message of this user, once there is one. */
  deliveryInfo: MessageDeliveryInfo | null = null;

  constructor(parts: Pick<ClassicMessage, "messageId" | "recipientIds" | "senderId" | "textBody" | "timestamp" | "headers" | "direction" | "redelivered">) {
    this.messageId = parts.messageId;
    this.recipientIds = parts.recipientIds;
    this.senderId = parts.senderId;
    this.textBody = parts.textBody;
    this.timestamp = parts.timestamp;
    this.headers = parts.headers;
    this.direction = parts.direction;
    this.redelivered = parts.redelivered;
  }

  addHeader(name: string, value: string): void {
    this.headers[name] = value;
  }
}

/** A message of this user whose deliveries are told. */
interface Followed {
  readonly message: ClassicMessage;
  readonly conversation: string;
  readonly seq: number;
  readonly told: Set<string>;
}

const maxRecipients = 10;
const maxFollowed = 1_000;

export class MessageClient {
  readonly #environment: Environment;
  #hub: MessageHub | null = null;
  #listeners: MessageClientListener[] = [];
  #off: (() => void)[] = [];
  #offMessage: (() => void) | null = null;
  /** To whom a message of `newMessage` goes. */
  readonly #recipients = new WeakMap<ClassicMessage, readonly Identity[]>();
  readonly #followed = new Map<string, Followed>();
  /** The last delivered `seq` of each member, by conversation. */
  readonly #horizons = new Map<string, Map<string, { user: Identity; delivered: number }>>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** For the SDK only: listens to the messages of a started client, instead of those of the one before. */
  attach(hub: MessageHub): void {
    for (const off of this.#off) off();
    this.#offMessage?.();
    this.#offMessage = null;
    this.#followed.clear();
    this.#horizons.clear();
    this.#hub = hub;
    this.#off = [
      hub.on("sent", (message) => this.#onSent(message)),
      hub.on("receipts", (receipt) => this.#onReceipt(receipt)),
      hub.on("failed", (failure) => this.#onFailed(failure)),
    ];
    this.#listen();
  }

  /**
   * @param recipients  one to ten.
   * @throws CountersignError 107 for none or more.
   */
  newMessage(recipients: Recipient | readonly Recipient[], text: string): ClassicMessage {
    const users = (Array.isArray(recipients) ? (recipients as Recipient[]) : [recipients as Recipient]).map(toUser);
    if (users.length === 0 || users.length > maxRecipients) {
      throw new CountersignError(codeBadRequest, "A message has one to ten recipients.");
    }
    const message = new ClassicMessage({
      messageId: uuid7(Date.now(), this.#environment.randomBytes(10)),
      recipientIds: users.map(({ endpoint }) => endpoint),
      senderId: null,
      textBody: String(text),
      timestamp: new Date(),
      headers: {},
      direction: true,
      redelivered: false,
    });
    this.#recipients.set(message, users);
    return message;
  }

  /** Settles when the server has committed the message; until then it is kept in this browser. */
  send(
    message: ClassicMessage,
    onSuccess?: ((message: ClassicMessage) => void) | null,
    onFailure?: ((error: CountersignError) => void) | null,
  ): ProgressPromise<ClassicMessage, LogEntry> {
    const sent = ProgressPromise.run<ClassicMessage, LogEntry>(() => this.#send(message));
    sent.then(
      (done) => callBack(() => onSuccess?.(done)),
      (error: unknown) => callBack(() => onFailure?.(error as CountersignError)),
    );
    return sent;
  }

  /** Listeners are called in the order in which they were added. */
  addEventListener(listener: MessageClientListener): void {
    this.#listeners = [...this.#listeners.filter((other) => other !== listener), listener];
    this.#listen();
  }

  removeEventListener(listener: MessageClientListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
    this.#listen();
  }

  async #send(message: ClassicMessage): Promise<ClassicMessage> {
    const hub = this.#hub;
    const to = this.#recipients.get(message);
    if (to === undefined) throw new CountersignError(codeBadRequest, "Make the message with newMessage().");
    if (hub === null) throw new CountersignError(codeBadState, "Start the client first.");
    const content: MessageContent = { text: message.textBody, headers: { ...message.headers } };
    try {
      const { time } = await hub.send({ to }, content, message.messageId);
      message.senderId = hub.self().endpoint;
      message.timestamp = time ?? message.timestamp;
      return message;
    } catch (thrown) {
      const error = thrown as CountersignError;
      const info = { messageId: message.messageId, recipientId: undefined, error };
      await this.#tell((listener) => listener.onMessageFailed?.(message, info, this));
      throw error;
    }
  }

  /** Messages wait at the server until somebody listens for them. */
  #listen(): void {
    const wanted = this.#listeners.some(({ onIncomingMessage }) => onIncomingMessage !== undefined);
    if (wanted && this.#offMessage === null && this.#hub !== null) {
      this.#offMessage = this.#hub.on("message", (message) => this.#onMessage(message));
    } else if (!wanted) {
      this.#offMessage?.();
      this.#offMessage = null;
    }
  }

  async #onMessage(message: Message): Promise<void> {
    const self = this.#hub?.self();
    const others = message.to.filter((user) => !sameIdentity(user, message.from));
    const recipients = others.length > 0 || self === undefined ? others : [self];
    const classic = toClassic(message, recipients);
    await this.#tell((listener) => listener.onIncomingMessage?.(classic, this));
  }

  async #onSent(message: Message): Promise<void> {
    const recipients = await this.#recipientsOf(message);
    const classic = toClassic(message, recipients);
    this.#follow({ message: classic, conversation: message.conversation, seq: message.seq, told: new Set() });
    await this.#tell((listener) => listener.onIncomingMessage?.(classic, this));
    for (const { endpoint } of recipients) await this.#tell((listener) => listener.onMessageSent?.(classic, endpoint, this));
    for (const { user, delivered } of this.#horizons.get(message.conversation)?.values() ?? []) {
      await this.#delivered(message.conversation, user, delivered);
    }
  }

  /** Whom a message of this user went to; a copy from another device does not say so by itself. */
  async #recipientsOf(message: Message): Promise<readonly Identity[]> {
    const others = message.to.filter((user) => !sameIdentity(user, message.from));
    const hub = this.#hub;
    if (others.length > 0 || hub === null || message.group) return others;
    const known = hub.recipientsOf(message.id);
    if (known.length > 0) return known;
    try {
      const { members } = await hub.conversation({ conv: message.conversation }).info();
      return members.map(({ user }) => user).filter((user) => !sameIdentity(user, message.from));
    } catch {
      return [];
    }
  }

  #follow(followed: Followed): void {
    this.#followed.set(followed.message.messageId, followed);
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > maxFollowed && oldest !== undefined) this.#followed.delete(oldest);
  }

  async #onReceipt({ conversation, user, delivered }: ReceiptEvent): Promise<void> {
    if (user === undefined) return;
    const horizons = this.#horizons.get(conversation) ?? new Map();
    this.#horizons.set(conversation, horizons.set(identityKey(user), { user, delivered }));
    await this.#delivered(conversation, user, delivered);
  }

  async #delivered(conversation: string, user: Identity, upTo: number): Promise<void> {
    const self = this.#hub?.self();
    if (self !== undefined && sameIdentity(user, self)) return;
    for (const followed of this.#followed.values()) {
      if (followed.conversation !== conversation || followed.seq > upTo || followed.told.has(identityKey(user))) continue;
      followed.told.add(identityKey(user));
      const { messageId } = followed.message;
      const info = { messageId, recipientId: user.endpoint, timestamp: new Date() };
      followed.message.deliveryInfo = info;
      await this.#tell((listener) => listener.onMessageDelivered?.(info, this));
    }
  }

  async #onFailed({ id, user, error }: FailedEvent): Promise<void> {
    const message = this.#followed.get(id)?.message ?? unknownMessage(id, user);
    const info = { messageId: id, recipientId: user.endpoint, error };
    await this.#tell((listener) => listener.onMessageFailed?.(message, info, this));
  }

  async #tell(call: (listener: MessageClientListener) => unknown): Promise<void> {
    for (const listener of this.#listeners) {
      try {
        await call(listener);
      } catch (thrown) {
        reportListenerFailure(thrown);
      }
    }
  }
}

function toClassic(message: Message, recipients: readonly Identity[]): ClassicMessage {
  return new ClassicMessage({
    messageId: message.id,
    recipientIds: recipients.map(({ endpoint }) => endpoint),
    senderId: message.from.endpoint,
    textBody: message.text,
    timestamp: message.time,
    headers: { ...message.headers },
    direction: message.outgoing,
    redelivered: message.redelivered,
  });
}

/** A message from before this page was loaded: no more is known of it. */
function unknownMessage(messageId: string, recipient: Identity): ClassicMessage {
  const recipientIds = [recipient.endpoint];
  const rest = { senderId: null, textBody: "", timestamp: new Date(0), headers: {}, direction: true, redelivered: false };
  return new ClassicMessage({ messageId, recipientIds, ...rest });
}

function toUser(recipient: Recipient): Identity {
  if (typeof recipient === "string" || "endpoint" in recipient) return toIdentity(recipient);
  return { type: recipient.type ?? "username", endpoint: recipient.identity };
}

function callBack(call: () => void): void {
  try {
    call();
  } catch (thrown) {
    reportListenerFailure(thrown);
  }
}
