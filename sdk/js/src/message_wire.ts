/**
 * What the gateway says about messages, decoded. As in `protocol.ts`, everything is untrusted: a member of
 * another type counts as absent, and what lacks something necessary is `null`, never an exception.
 */
import { CountersignError } from "./errors.js";
import type {
  Attachment,
  ConversationInfo,
  GroupChange,
  Horizon,
  Message,
  MessageContent,
  Presence,
  ReceiptEvent,
  ResetEvent,
} from "./message_types.js";
import { decodeError, isBody, numberIn, own, stringIn, timeIn, type Body } from "./protocol.js";
import { sameIdentity } from "./ticket.js";
import type { Identity } from "./types.js";

export interface Position {
  readonly epoch: string;
  readonly offset: number;
  readonly chain: string;
}

/** Where the stream goes on; `reason` is absent when there is no hole before it. */
export interface InboxState {
  readonly from: Position;
  readonly top: number;
  readonly cursor: number;
  readonly reason: ResetEvent["reason"] | null;
}

/** An entry as it came. What it means is decoded when its turn comes. */
export interface Entry {
  readonly offset: number;
  readonly chain: string;
  readonly body: Body;
}

const reasons: readonly string[] = ["epoch", "floor", "unknown_device"];

export function decodeInbox(value: unknown): InboxState | null {
  if (!isBody(value)) return null;
  const from = positionIn(value);
  const top = countIn(value, "top");
  if (from === null || top === null) return null;
  const cursor = countIn(value, "cursor") ?? 0;
  if (own(value, "recovered") === true) return { from, top, cursor, reason: null };
  return { from, top, cursor, reason: reasonIn(value) };
}

export function decodeReset(body: Body): InboxState | null {
  const from = positionIn(body);
  const top = countIn(body, "top");
  return from === null || top === null ? null : { from, top, cursor: 0, reason: reasonIn(body) };
}

export function decodeEntry(value: unknown): Entry | null {
  if (!isBody(value)) return null;
  const offset = countIn(value, "offset");
  const chain = chainIn(value, "chain");
  return offset === null || offset === 0 || chain === null ? null : { offset, chain, body: value };
}

/** Also of a position that was stored: what a page's storage holds is no more trusted than the wire. */
export function decodePosition(value: unknown): Position | null {
  if (!isBody(value)) return null;
  const epoch = stringIn(value, "epoch");
  const offset = countIn(value, "offset");
  const chain = chainIn(value, "chain");
  return epoch === null || offset === null || chain === null ? null : { epoch, offset, chain };
}

function positionIn(body: Body): Position | null {
  return decodePosition({ epoch: own(body, "epoch"), offset: own(body, "from"), chain: own(body, "from_chain") });
}

function reasonIn(body: Body): ResetEvent["reason"] {
  const reason = stringIn(body, "reason") ?? "";
  return reasons.includes(reason) ? (reason as ResetEvent["reason"]) : "epoch";
}

function chainIn(body: Body, name: string): string | null {
  const chain = stringIn(body, name);
  return chain !== null && /^[0-9a-f]{16}$/.test(chain) ? chain : null;
}

/** A whole number from 0 on. */
export function countIn(body: Body, name: string): number | null {
  const value = numberIn(body, name);
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

export function decodeIdentity(value: unknown): Identity | null {
  if (!isBody(value)) return null;
  const type = stringIn(value, "type");
  const endpoint = stringIn(value, "endpoint");
  return type === null || endpoint === null ? null : { type, endpoint };
}

export function decodeIdentities(value: unknown): Identity[] {
  return list(value).map(decodeIdentity).filter(present);
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function present<T>(value: T | null): value is T {
  return value !== null;
}

/** What an entry of the inbox tells; `unknown` are kinds of a later version, which are passed over. */
export type Told =
  | { readonly kind: "message" | "sent" | "group"; readonly message: Message }
  | { readonly kind: "stub"; readonly conversation: string; readonly seq: number; readonly id: string }
  | {
      readonly kind: "failed";
      readonly conversation: string;
      readonly seq: number;
      readonly id: string;
      readonly user: Identity;
      readonly error: CountersignError;
    }
  | { readonly kind: "gone"; readonly conversation: string; readonly seq: number }
  | { readonly kind: "unknown" };

/** @return `null` when the entry lacks what its kind needs. */
export function decodeTold(body: Body, self: Identity, redelivered: boolean): Told | null {
  const kind = stringIn(body, "kind");
  const conversation = stringIn(body, "conv");
  const seq = countIn(body, "seq");
  const known = ["message", "sent", "group", "failed", "gone"];
  if (kind === null || !known.includes(kind)) return { kind: "unknown" };
  if (conversation === null || seq === null) return null;
  if (kind === "gone") return { kind, conversation, seq };
  const id = stringIn(body, "msg_id");
  if (id === null) return null;
  if (kind === "failed") {
    const user = decodeIdentity(own(body, "user"));
    const reason = own(body, "reason");
    if (user === null || !isBody(reason)) return null;
    return { kind, conversation, seq, id, user, error: decodeError(reason) };
  }
  if (kind === "sent" && own(body, "stub") === true) return { kind: "stub", conversation, seq, id };
  const message = decodeMessage(body, self, redelivered);
  return message === null ? null : { kind: kind as "message" | "sent" | "group", message };
}

/** A message of the inbox or of the history. */
export function decodeMessage(value: unknown, self: Identity, redelivered = false): Message | null {
  if (!isBody(value)) return null;
  const kind = stringIn(value, "kind") ?? "";
  const conversation = stringIn(value, "conv");
  const seq = countIn(value, "seq");
  if (conversation === null || seq === null) return null;
  const gone = kind === "gone";
  const from = decodeIdentity(own(value, "from"));
  const id = stringIn(value, "msg_id");
  const time = timeIn(value, "time");
  const change = kind === "group" ? decodeChange(own(value, "change")) : null;
  if (!gone && (from === null || id === null || time === null)) return null;
  if (kind === "group" && change === null) return null;
  const expires = timeIn(value, "expires");
  return {
    kind: gone ? "gone" : kind === "group" ? "group" : "message",
    id: id ?? "",
    conversation,
    seq,
    from: from ?? nobody,
    to: decodeIdentities(own(value, "to")),
    time: new Date(time ?? 0),
    ...contentOf(value),
    group: own(value, "group") === true,
    outgoing: from !== null && sameIdentity(from, self),
    redelivered,
    ...(expires === null ? {} : { expires: new Date(expires) }),
    ...(change === null ? {} : { change }),
  };
}

const nobody: Identity = { type: "", endpoint: "" };

function contentOf(body: Body): Pick<Message, "text" | "headers" | "attachments"> {
  const headers = own(body, "headers");
  const texts = isBody(headers) ? Object.entries(headers).filter(([, value]) => typeof value === "string") : [];
  return {
    text: stringIn(body, "text") ?? "",
    headers: Object.fromEntries(texts) as Record<string, string>,
    attachments: list(own(body, "attachments")).map(decodeAttachment).filter(present),
  };
}

function decodeAttachment(value: unknown): Attachment | null {
  if (!isBody(value)) return null;
  const url = stringIn(value, "url");
  if (url === null) return null;
  const name = stringIn(value, "name");
  const type = stringIn(value, "type");
  const size = numberIn(value, "size");
  return {
    url,
    ...(name === null ? {} : { name }),
    ...(type === null ? {} : { type }),
    ...(size === undefined ? {} : { size }),
  };
}

const actions: readonly string[] = ["create", "add", "remove", "leave", "rename"];

function decodeChange(value: unknown): GroupChange | null {
  if (!isBody(value)) return null;
  const action = stringIn(value, "action") ?? "";
  if (!actions.includes(action)) return null;
  const name = stringIn(value, "name");
  return {
    action: action as GroupChange["action"],
    users: decodeIdentities(own(value, "users")),
    ...(name === null ? {} : { name }),
  };
}

export function decodeHorizon(value: unknown): Horizon | null {
  if (!isBody(value)) return null;
  const user = decodeIdentity(own(value, "user"));
  if (user === null) return null;
  return { user, delivered: countIn(value, "delivered") ?? 0, read: countIn(value, "read") ?? 0 };
}

export function decodeConversation(value: unknown, self: Identity): ConversationInfo | null {
  if (!isBody(value)) return null;
  const conversation = stringIn(value, "conv");
  if (conversation === null) return null;
  const members = list(own(value, "members")).map(decodeHorizon).filter(present);
  const lastTime = timeIn(value, "last_time");
  return {
    conversation,
    group: own(value, "group") === true,
    name: stringIn(value, "name") ?? "",
    version: countIn(value, "version") ?? 0,
    member: own(value, "member") !== false,
    admin: own(value, "admin") === true,
    memberCount: countIn(value, "member_count") ?? members.length,
    members,
    top: countIn(value, "top") ?? 0,
    read: countIn(value, "read") ?? 0,
    unread: countIn(value, "unread") ?? 0,
    last: decodeMessage(own(value, "last"), self),
    lastTime: lastTime === null ? null : new Date(lastTime),
  };
}

export function decodeReceipt(body: Body): ReceiptEvent | null {
  const conversation = stringIn(body, "conv");
  if (conversation === null) return null;
  const user = decodeIdentity(own(body, "user"));
  const counts = { conversation, delivered: countIn(body, "delivered") ?? 0, read: countIn(body, "read") ?? 0 };
  if (user !== null) return { ...counts, user };
  const seq = countIn(body, "seq");
  const of = countIn(body, "of");
  return seq === null || of === null ? null : { ...counts, seq, of };
}

export function decodePresence(value: unknown): Presence | null {
  if (!isBody(value)) return null;
  const user = decodeIdentity(own(value, "user"));
  const state = stringIn(value, "state");
  if (user === null || (state !== "online" && state !== "away" && state !== "offline")) return null;
  const lastSeen = timeIn(value, "last_seen");
  return {
    user,
    state,
    devices: countIn(value, "devices") ?? 0,
    lastSeen: lastSeen === null ? null : new Date(lastSeen),
  };
}

/** What goes out: only what is there, so that a repeat is the same to the byte. */
export function encodeContent(content: MessageContent): Body {
  const { text, headers, attachments, expiresIn } = content;
  return {
    ...(text === undefined || text === "" ? {} : { text }),
    ...(headers === undefined || Object.keys(headers).length === 0 ? {} : { headers }),
    ...(attachments === undefined || attachments.length === 0 ? {} : { attachments }),
    ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
  };
}
