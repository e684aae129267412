/** The public words of messaging: messages, conversations, receipts, presence, events. */
import type { CountersignError } from "./errors.js";
import type { Identity } from "./types.js";

/** A person: a user name, or an identity of any type. */
export type UserInput = string | Identity;

/** Which conversation: one person, up to ten people, or the id of an existing one. A text is always a user name. */
export type ConversationInput = UserInput | readonly UserInput[] | { readonly conv: string };

/** A reference to something that lies elsewhere; the server neither fetches nor keeps it. */
export interface Attachment {
  readonly url: string;
  readonly name?: string | undefined;
  readonly type?: string | undefined;
  readonly size?: number | undefined;
}

/** What a message says. A plain text is short for `{text}`. */
export interface MessageContent {
  readonly text?: string | undefined;
  /** Up to 32 names with values, together 4 KiB; no control characters. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
  /** Seconds after which nobody gets it any more, 1 to 2,592,000. */
  readonly expiresIn?: number | undefined;
}

export interface GroupChange {
  readonly action: "create" | "add" | "remove" | "leave" | "rename";
  readonly users: readonly Identity[];
  readonly name?: string | undefined;
}

/** A message as it stands in a conversation. */
export interface Message {
  /** `gone`: expired, erased, or of somebody this user blocks; only its place is left. */
  readonly kind: "message" | "group" | "gone";
  /** Made by the sender; unique only together with `from`. */
  readonly id: string;
  readonly conversation: string;
  /** Its number in the conversation, the same for everybody. */
  readonly seq: number;
  readonly from: Identity;
  /** All members, where the conversation is not a group and has more than two. */
  readonly to: readonly Identity[];
  /** When the server accepted it, by the server's clock. */
  readonly time: Date;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly attachments: readonly Attachment[];
  readonly expires?: Date | undefined;
  readonly group: boolean;
  /** Sent by this user, on whatever device. */
  readonly outgoing: boolean;
  /** What happened to the group, when `kind` is `group`. */
  readonly change?: GroupChange | undefined;
  /** A listener of this device may have had it before. */
  readonly redelivered: boolean;
}

/**
 * How far a sent message has come.
 *
 * - `queued`: kept in this browser, survives reload and offline; `sending`: on its way.
 * - `accepted`: the server has committed it; it will not be lost.
 * - `delivered`: a device of every recipient has handled it; `read`: every recipient has seen it.
 * - `failed`: it will not be tried again by itself; `error` says why.
 */
export type SentState = "queued" | "sending" | "accepted" | "delivered" | "read" | "failed";

export interface SentEvents {
  state: { readonly state: SentState; readonly previous: SentState };
}

export interface Horizon {
  readonly user: Identity;
  /** Got everything up to this `seq`. */
  readonly delivered: number;
  /** Has seen everything up to this `seq`. */
  readonly read: number;
}

/** A receipt: of one member, or in a group counts for the user's last message. */
export interface ReceiptEvent {
  readonly conversation: string;
  readonly user?: Identity | undefined;
  readonly delivered: number;
  readonly read: number;
  /** Only with counts: the message they are for, and how many recipients it has. */
  readonly seq?: number | undefined;
  readonly of?: number | undefined;
}

export interface ConversationInfo {
  readonly conversation: string;
  readonly group: boolean;
  readonly name: string;
  readonly version: number;
  /** Whether this user is a member now. */
  readonly member: boolean;
  /** Whether this user may change the group. */
  readonly admin: boolean;
  readonly memberCount: number;
  /** Of a group only the first; `members()` has all. */
  readonly members: readonly Horizon[];
  readonly top: number;
  /** Up to where this user has read. */
  readonly read: number;
  /** Counts to 100. */
  readonly unread: number;
  readonly last: Message | null;
  readonly lastTime: Date | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** What to give as `after` (or `before`) for the next page; absent at the end. */
  readonly next?: string | undefined;
}

export interface HistoryPage {
  /** Newest first. */
  readonly messages: readonly Message[];
  readonly more: boolean;
}

export interface MembersPage {
  readonly members: readonly Horizon[];
  readonly more: boolean;
}

export interface Presence {
  readonly user: Identity;
  readonly state: "online" | "away" | "offline";
  readonly devices: number;
  readonly lastSeen: Date | null;
}

export interface TypingEvent {
  readonly conversation: string;
  readonly user: Identity;
  /** `false` when they stopped, or said nothing for 10 s. */
  readonly typing: boolean;
}

/** A message of this user did not reach somebody. */
export interface FailedEvent {
  readonly conversation: string;
  readonly seq: number;
  readonly id: string;
  readonly user: Identity;
  readonly error: CountersignError;
  readonly redelivered: boolean;
}

/** A message is no longer there: take it off the screen. */
export interface GoneEvent {
  readonly conversation: string;
  readonly seq: number;
}

/**
 * The place in the inbox was lost: between what listeners have had and what comes now there may be a hole.
 * Load what is shown anew with `history()`.
 *
 * - `epoch`: the server's store was restored, or lost what the position pointed at.
 * - `floor`: this device was away for longer than messages are kept.
 * - `unknown_device`: the server has forgotten this device.
 */
export interface ResetEvent {
  readonly reason: "epoch" | "floor" | "unknown_device";
}

/** The inbox goes on without a hole; `missed` entries follow. */
export interface RecoveredEvent {
  readonly missed: number;
}

export interface UnsentEvent {
  /** Messages of this person that wait in this browser. */
  readonly count: number;
  /** `sign_out`: the client was asked to sign out while they wait; `terminate`: it stopped, they stay. */
  readonly why: "changed" | "sign_out" | "terminate";
}

/**
 * Listeners of `message`, `sent`, `group`, `failed` and `gone` may return a promise: the entry counts as
 * handled, and is acknowledged, when all of them have returned or settled, 30 s at most.
 */
export interface MessageEvents {
  /** Somebody wrote. Messages wait at the server until there is a listener for them. */
  message: Message;
  /** This user wrote, here or on another device. */
  sent: Message;
  /** A group this user is in has changed. */
  group: Message;
  failed: FailedEvent;
  gone: GoneEvent;
  receipts: ReceiptEvent;
  typing: TypingEvent;
  reset: ResetEvent;
  recovered: RecoveredEvent;
  unsent: UnsentEvent;
}

export type MessageListener<T> = (event: T) => unknown;

/** How many, and where the page before ended. */
export interface ListOptions {
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}

export interface HistoryOptions {
  /** Only messages with a lower `seq`. */
  readonly before?: number | undefined;
  readonly limit?: number | undefined;
}

/** One message this user sends, followed from the queue to the last reader. */
export interface SentMessage {
  readonly id: string;
  readonly state: SentState;
  readonly content: MessageContent;
  /** The users or the conversation it was addressed to. */
  readonly target: ConversationInput;
  /** When it was put into the queue, by the server's clock as far as known. */
  readonly created: Date;
  /** Known from `accepted` on. */
  readonly conversation: string | null;
  readonly seq: number | null;
  readonly time: Date | null;
  /** Members of a group whose inboxes are full; they find it in the history. */
  readonly leftOut: readonly Identity[];
  readonly error: CountersignError | null;
  /** Recipients by state, as far as receipts tell. */
  readonly deliveredTo: number;
  readonly readBy: number;
  on<Name extends keyof SentEvents>(name: Name, listener: (event: SentEvents[Name]) => void): () => void;
  off<Name extends keyof SentEvents>(name: Name, listener: (event: SentEvents[Name]) => void): void;
  /** Settles when the server has committed it, rejects when it failed. */
  readonly accepted: Promise<SentMessage>;
}

/** What `send()` returns: a promise for `accepted`, and the message at once. */
export interface Sending extends Promise<SentMessage> {
  readonly message: SentMessage;
}

export interface Conversation extends AsyncIterable<Message> {
  /** `null` until the server has told it. */
  readonly id: string | null;
  /** Queues a message and sends it. Settles at `accepted`; use `.message` to show it before that. */
  send(content: string | MessageContent): Sending;
  /** What the server knows of it now; horizons are taken over. */
  info(): Promise<ConversationInfo>;
  history(options?: HistoryOptions): Promise<HistoryPage>;
  /** Messages of others as they come; each counts as handled when the next one is asked for. */
  messages(): AsyncIterableIterator<Message>;
  markRead(upTo: number | Message): Promise<void>;
  typing(active: boolean): void;
  members(options?: { after?: Identity | undefined; limit?: number | undefined }): Promise<MembersPage>;
  /** How far one of this user's own messages in it has come, by the horizons known. */
  stateOf(seq: number): "accepted" | "delivered" | "read";
  add(...users: UserInput[]): Promise<void>;
  remove(...users: UserInput[]): Promise<void>;
  rename(name: string): Promise<void>;
  leave(): Promise<void>;
}

export interface Messages {
  on<Name extends keyof MessageEvents>(name: Name, listener: MessageListener<MessageEvents[Name]>): () => void;
  off<Name extends keyof MessageEvents>(name: Name, listener: MessageListener<MessageEvents[Name]>): void;
  conversation(target: ConversationInput): Conversation;
  conversations(options?: ListOptions): Promise<Page<ConversationInfo>>;
  createGroup(name: string, users: readonly UserInput[]): Promise<Conversation>;
  block(user: UserInput): Promise<void>;
  unblock(user: UserInput): Promise<void>;
  blocked(): Promise<readonly Identity[]>;
  /** Calls back with the present state and each change; returns how to stop that. */
  watch(users: readonly UserInput[], listener: (presence: Presence) => void): () => void;
  /** Stops every `watch` of these users. */
  unwatch(users: readonly UserInput[]): void;
  setAway(away: boolean): void;
  /** Waiting and failed messages of this person in this browser, oldest first; those from before a reload too. */
  unsent(): Promise<readonly SentMessage[]>;
  readonly unsentCount: number;
  /** Sends a failed message again, under its old id. */
  retry(message: SentMessage): void;
  /** Forgets a message that was not accepted. One that is being sent may still arrive. */
  discard(message: SentMessage): void;
}
