/**
 * What the chat page knows: plain values, changed by `reduce` (chat_state.ts) alone and read by everything
 * that draws. The order and the guarantee are the server's; this is a picture of them.
 */
import type {
  ConnectionState,
  ConversationInfo,
  EndKind,
  FailedEvent,
  HistoryPage,
  Identity,
  Message,
  MessageContent,
  Presence,
  ReceiptEvent,
  ResetEvent,
  SentState,
} from "../../sdk/js/src/public.js";

/** Tells people apart; two identity types may share an endpoint. */
export type UserKey = string;
/** A conversation's id, or `draft:…` of one that the server has not named yet. */
export type ConversationKey = string;

/** How the page stands towards the server. */
export type LinkState = "connecting" | "live" | "behind" | "offline" | "ended";

export interface Link {
  readonly state: LinkState;
  /** Whether it was ever live since the page was loaded. */
  readonly wasLive: boolean;
  /** What the last reconnect brought; `null` before the first one. */
  readonly recovered: { readonly missed: number } | null;
  /** While `behind`: entries that are still to come. */
  readonly toCome: number;
  /** The last lost position that the person has not dismissed. */
  readonly reset: ResetEvent["reason"] | null;
  readonly end: { readonly kind: EndKind; readonly reason: string } | null;
}

/** How far somebody has come in a conversation. */
export interface Reach {
  readonly delivered: number;
  readonly read: number;
}

/** How many of a group have come to the user's last message. */
export interface Counts extends Reach {
  readonly seq: number;
  readonly of: number;
}

export interface Conversation {
  readonly key: ConversationKey;
  /** `null` while it is a draft. */
  readonly id: string | null;
  readonly group: boolean;
  readonly name: string;
  /** Everybody else in it; of a large group only the first. */
  readonly others: readonly Identity[];
  readonly memberCount: number;
  readonly member: boolean;
  /** Whether this user may change the group. */
  readonly admin: boolean;
  readonly top: number;
  readonly read: number;
  readonly unread: number;
  readonly last: Message | null;
  readonly reaches: ReadonlyMap<UserKey, Reach>;
  readonly counts: Counts | null;
  readonly typing: readonly Identity[];
}

/** A message of this user that the server has not accepted: queued, sending or failed. */
export interface Outgoing {
  readonly id: string;
  readonly key: ConversationKey;
  readonly state: Exclude<SentState, "accepted" | "delivered" | "read">;
  /** Whether it lies in this browser's storage: only then it survives a reload. */
  readonly kept: boolean;
  readonly content: MessageContent;
  readonly created: Date;
  readonly error: { readonly code: number; readonly message: string } | null;
}

/** The loaded part of a conversation: a run of messages without a hole. */
export interface Timeline {
  readonly key: ConversationKey;
  /** By `seq`, growing. */
  readonly messages: readonly Message[];
  readonly loading: boolean;
  readonly problem: string | null;
  /** Whether there are older ones at the server. */
  readonly more: boolean;
  /** Whether the newest is loaded; new messages are added to the end only then. */
  readonly atEnd: boolean;
  /** Messages of others beyond this `seq` were unread when the conversation was opened. */
  readonly unreadAfter: number;
}

export interface ChatState {
  readonly me: Identity | null;
  readonly link: Link;
  readonly conversations: ReadonlyMap<ConversationKey, Conversation>;
  readonly listLoaded: boolean;
  readonly listProblem: string | null;
  /** Where the next page of the list begins; absent at its end. */
  readonly listNext: string | undefined;
  readonly open: ConversationKey | null;
  /** The most recently opened ones, the open one last. */
  readonly timelines: ReadonlyMap<ConversationKey, Timeline>;
  readonly outgoing: ReadonlyMap<string, Outgoing>;
  /** Accepted messages that somebody did not get: `conversation/seq` to who and why. */
  readonly undelivered: ReadonlyMap<string, readonly Undelivered[]>;
  readonly presence: ReadonlyMap<UserKey, Presence>;
  readonly blocked: ReadonlySet<UserKey>;
}

export interface Undelivered {
  readonly user: Identity;
  readonly code: number;
  readonly message: string;
}

/** Everything that can happen to the page. */
export type ChatEvent =
  | { readonly type: "signedIn"; readonly me: Identity }
  | { readonly type: "link"; readonly state: ConnectionState }
  | { readonly type: "browserOffline" }
  | { readonly type: "ended"; readonly kind: EndKind; readonly reason: string }
  | { readonly type: "recovered"; readonly missed: number }
  | { readonly type: "caughtUp" }
  | { readonly type: "reset"; readonly reason: ResetEvent["reason"] }
  | { readonly type: "resetDismissed" }
  | { readonly type: "list"; readonly items: readonly ConversationInfo[]; readonly next: string | undefined; readonly first: boolean }
  | { readonly type: "listFailed"; readonly message: string }
  | { readonly type: "info"; readonly info: ConversationInfo }
  | { readonly type: "draft"; readonly others: readonly Identity[] }
  | { readonly type: "open"; readonly key: ConversationKey }
  | { readonly type: "close" }
  | { readonly type: "historyAsked"; readonly key: ConversationKey; readonly before: number | undefined }
  | { readonly type: "history"; readonly key: ConversationKey; readonly page: HistoryPage; readonly before: number | undefined }
  | { readonly type: "historyFailed"; readonly key: ConversationKey; readonly message: string }
  | { readonly type: "message"; readonly message: Message }
  | { readonly type: "gone"; readonly conversation: string; readonly seq: number; readonly time: Date }
  | { readonly type: "failed"; readonly event: FailedEvent }
  | { readonly type: "receipt"; readonly event: ReceiptEvent }
  | { readonly type: "typing"; readonly conversation: string; readonly user: Identity; readonly typing: boolean }
  | { readonly type: "presence"; readonly presence: Presence }
  | { readonly type: "readHere"; readonly key: ConversationKey; readonly seq: number }
  | { readonly type: "outgoing"; readonly item: Outgoing }
  | { readonly type: "accepted"; readonly id: string; readonly message: Message }
  | { readonly type: "unsent"; readonly ids: ReadonlySet<string> }
  | { readonly type: "blocked"; readonly users: readonly Identity[] };

export function userKey(user: Identity): UserKey {
  return `${user.type}:${user.endpoint}`;
}

export function sameUser(a: Identity | null, b: Identity | null): boolean {
  return a !== null && b !== null && a.type === b.type && a.endpoint === b.endpoint;
}

/** The key of a conversation that only its members are known of. */
export function draftKey(others: readonly Identity[]): ConversationKey {
  return `draft:${JSON.stringify(others.map(userKey).sort())}`;
}

/** The conversation between this user and exactly these people, if it is known. */
export function conversationWith(state: ChatState, others: readonly Identity[]): Conversation | undefined {
  const wanted = draftKey(others);
  for (const conversation of state.conversations.values()) {
    if (!conversation.group && draftKey(conversation.others) === wanted) return conversation;
  }
  return undefined;
}

export function undeliveredKey(conversation: string, seq: number): string {
  return `${conversation}/${seq}`;
}

export function outgoingOf(state: ChatState, key: ConversationKey): Outgoing[] {
  return [...state.outgoing.values()]
    .filter((item) => item.key === key)
    .sort((a, b) => a.created.getTime() - b.created.getTime() || (a.id < b.id ? -1 : 1));
}

/** How far a message of this user has come, by the receipts known. */
export function sentStateOf(conversation: Conversation, seq: number): "accepted" | "delivered" | "read" {
  const least = (which: keyof Reach): boolean => {
    if (conversation.reaches.size >= conversation.memberCount - 1 && conversation.reaches.size > 0) {
      if ([...conversation.reaches.values()].every((reach) => reach[which] >= seq)) return true;
    }
    // Counts speak of a later message; who has got that one has got this one.
    const counts = conversation.counts;
    return counts !== null && counts.seq >= seq && counts.of > 0 && counts[which] >= counts.of;
  };
  return least("read") ? "read" : least("delivered") ? "delivered" : "accepted";
}

export const initialState: ChatState = {
  me: null,
  link: { state: "connecting", wasLive: false, recovered: null, toCome: 0, reset: null, end: null },
  conversations: new Map(),
  listLoaded: false,
  listProblem: null,
  listNext: undefined,
  open: null,
  timelines: new Map(),
  outgoing: new Map(),
  undelivered: new Map(),
  presence: new Map(),
  blocked: new Set(),
};
