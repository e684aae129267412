/**
 * The reducer: a state of the chat page and something that happened make the next state. Pure, so that
 * whatever can happen to a conversation is tested without a browser or a server.
 */
import type { ConversationInfo, Identity, Message, ReceiptEvent } from "../../sdk/js/src/public.js";
import {
  conversationWith,
  draftKey,
  sameUser,
  undeliveredKey,
  userKey,
  type ChatEvent,
  type ChatState,
  type Conversation,
  type ConversationKey,
  type Link,
  type Reach,
  type Timeline,
  type UserKey,
} from "./chat_model.js";
import { addMessages, emptyTimeline, keepRecent, removeMessage } from "./chat_timeline_model.js";

/** Shown as `99+`; the server counts no further either. */
const maxUnread = 100;
/** A placeholder is remembered for so many messages that somebody did not get. */
const maxUndelivered = 200;

export function reduce(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case "signedIn":
      return { ...state, me: event.me };
    case "link":
    case "browserOffline":
    case "ended":
    case "recovered":
    case "caughtUp":
    case "reset":
    case "resetDismissed":
      return withLink(state, reduceLink(state.link, event), event.type === "reset");
    case "list":
      return withList(state, event);
    case "listFailed":
      return { ...state, listProblem: event.message };
    case "info":
      return withInfo(state, event.info);
    case "draft":
      return withDraft(state, event.others);
    case "open":
      return opened(state, event.key);
    case "close":
      return { ...state, open: null };
    case "historyAsked":
      return changeTimeline(state, event.key, (timeline) => {
        // The newest are asked for: what comes meanwhile is kept and joins them.
        const begun = event.before === undefined ? { ...timeline, messages: [], atEnd: true, more: false } : timeline;
        return { ...begun, loading: true, problem: null };
      });
    case "history":
      return changeTimeline(state, event.key, (timeline) => {
        const joined = addMessages(timeline, event.page.messages, event.before !== undefined);
        return { ...joined, more: event.page.more, loading: false, problem: null };
      });
    case "historyFailed":
      return changeTimeline(state, event.key, (timeline) => ({ ...timeline, loading: false, problem: event.message }));
    case "message":
      return arrived(countDown(state), event.message);
    case "gone":
      return gone(countDown(state), event.conversation, event.seq, event.time);
    case "failed": {
      const key = undeliveredKey(event.event.conversation, event.event.seq);
      const { user, error } = event.event;
      const before = (state.undelivered.get(key) ?? []).filter((row) => !sameUser(row.user, user));
      const undelivered = new Map(state.undelivered).set(key, [...before, { user, code: error.code, message: error.message }]);
      if (undelivered.size > maxUndelivered) undelivered.delete(first(undelivered.keys()));
      return { ...countDown(state), undelivered };
    }
    case "receipt":
      return receipt(state, event.event);
    case "typing":
      return changeConversation(state, event.conversation, (conversation) => {
        const rest = conversation.typing.filter((user) => !sameUser(user, event.user));
        return { ...conversation, typing: event.typing ? [...rest, event.user] : rest };
      });
    case "presence":
      return { ...state, presence: new Map(state.presence).set(userKey(event.presence.user), event.presence) };
    case "readHere":
      return changeConversation(state, event.key, (conversation) => readUpTo(conversation, event.seq));
    case "outgoing":
      return { ...state, outgoing: new Map(state.outgoing).set(event.item.id, event.item) };
    case "accepted":
      return accepted(state, event.id, event.message);
    case "unsent": {
      const outgoing = new Map([...state.outgoing].filter(([id]) => event.ids.has(id)));
      return outgoing.size === state.outgoing.size ? state : { ...state, outgoing };
    }
    case "blocked":
      return { ...state, blocked: new Set(event.users.map(userKey)) };
  }
}

// --- the connection ------------------------------------------------------------------------------

type LinkEvent = Extract<
  ChatEvent,
  { type: "link" | "browserOffline" | "ended" | "recovered" | "caughtUp" | "reset" | "resetDismissed" }
>;

function reduceLink(link: Link, event: LinkEvent): Link {
  if (link.state === "ended" && event.type !== "resetDismissed") return link;
  switch (event.type) {
    case "link":
      if (event.state === "connected") {
        // `behind` stays: what was missed may have been announced before the state.
        return { ...link, state: link.toCome > 0 ? "behind" : "live", wasLive: true };
      }
      return { ...link, state: link.wasLive ? "offline" : "connecting", toCome: 0 };
    case "browserOffline":
      return { ...link, state: "offline", toCome: 0 };
    case "ended":
      return { ...link, state: "ended", toCome: 0, end: { kind: event.kind, reason: event.reason } };
    case "recovered": {
      const behind = event.missed > 0;
      const state = link.state === "live" || link.state === "behind" ? (behind ? "behind" : "live") : link.state;
      return { ...link, state, toCome: event.missed, recovered: { missed: event.missed } };
    }
    case "caughtUp":
      return { ...link, state: link.state === "behind" ? "live" : link.state, toCome: 0 };
    case "reset":
      // A device the server never saw has lost nothing that this page showed.
      if (event.reason === "unknown_device" && !link.wasLive) return link;
      return { ...link, reset: event.reason, recovered: null };
    case "resetDismissed":
      return { ...link, reset: null };
  }
}

/**
 * After a lost position nothing that was loaded may pass for whole: all of it is loaded anew. A restored store may
 * know less than this page, so that numbers that only ever grow begin again, too.
 */
function withLink(state: ChatState, link: Link, forget: boolean): ChatState {
  if (!forget) return { ...state, link };
  const conversations = new Map<ConversationKey, Conversation>();
  for (const [key, conversation] of state.conversations) {
    if (key !== state.open && conversation.id !== null) continue;
    const unknown = { top: 0, read: 0, unread: 0, last: null, reaches: new Map(), counts: null, typing: [] };
    conversations.set(key, { ...conversation, ...unknown });
  }
  return { ...state, link, conversations, timelines: new Map(), undelivered: new Map(), listLoaded: false, listNext: undefined };
}

/** One of the missed entries has come. */
function countDown(state: ChatState): ChatState {
  const { link } = state;
  if (link.toCome === 0) return state;
  const toCome = link.toCome - 1;
  return { ...state, link: { ...link, toCome, state: toCome === 0 && link.state === "behind" ? "live" : link.state } };
}

// --- conversations -------------------------------------------------------------------------------

function fromInfo(state: ChatState, info: ConversationInfo, known: Conversation | undefined): Conversation {
  const reaches = new Map<UserKey, Reach>(known?.reaches ?? []);
  for (const member of info.members) {
    if (!sameUser(member.user, state.me)) advance(reaches, member.user, member);
  }
  return {
    key: info.conversation,
    id: info.conversation,
    group: info.group,
    name: info.name,
    others: info.members.map((member) => member.user).filter((user) => !sameUser(user, state.me)),
    memberCount: info.memberCount,
    member: info.member,
    admin: info.admin,
    top: Math.max(info.top, known?.top ?? 0),
    read: Math.max(info.read, known?.read ?? 0),
    unread: info.read < (known?.read ?? 0) ? (known?.unread ?? 0) : info.unread,
    last: newest(info.last, known?.last ?? null),
    reaches,
    counts: known?.counts ?? null,
    typing: known?.typing ?? [],
  };
}

function newest(a: Message | null, b: Message | null): Message | null {
  if (a === null || b === null) return a ?? b;
  return a.seq >= b.seq ? a : b;
}

/** Horizons never go back, whatever comes late. */
function advance(reaches: Map<UserKey, Reach>, user: Identity, reach: Reach): void {
  const before = reaches.get(userKey(user)) ?? { delivered: 0, read: 0 };
  const read = Math.max(before.read, reach.read);
  reaches.set(userKey(user), { delivered: Math.max(before.delivered, reach.delivered, read), read });
}

function withInfo(state: ChatState, info: ConversationInfo): ChatState {
  const known = state.conversations.get(info.conversation);
  const conversation = fromInfo(state, info, known);
  return adopt({ ...state, conversations: new Map(state.conversations).set(conversation.key, conversation) }, conversation);
}

/** A draft between the same people turns into the conversation that the server has now named. */
function adopt(state: ChatState, conversation: Conversation): ChatState {
  if (conversation.group) return state;
  const draft = draftKey(conversation.others);
  const hasOutgoing = [...state.outgoing.values()].some((item) => item.key === draft);
  if (!state.conversations.has(draft) && !hasOutgoing) return state;
  const conversations = new Map(state.conversations);
  conversations.delete(draft);
  const outgoing = new Map(
    [...state.outgoing].map(([id, item]) => [id, item.key === draft ? { ...item, key: conversation.key } : item]),
  );
  const next = { ...state, conversations, outgoing };
  if (state.open !== draft) return next;
  // It began with the first message: what has come since is all there is.
  const timelines = new Map(state.timelines);
  const timeline = timelines.get(draft);
  timelines.delete(draft);
  if (timeline !== undefined && !timelines.has(conversation.key)) {
    timelines.set(conversation.key, { ...timeline, key: conversation.key });
  }
  return { ...next, timelines, open: conversation.key };
}

function withList(state: ChatState, event: Extract<ChatEvent, { type: "list" }>): ChatState {
  let next: ChatState = { ...state, listLoaded: true, listProblem: null };
  // A later first page, after a reconnect, does not hide pages that were loaded before it.
  if (!event.first || !state.listLoaded) next = { ...next, listNext: event.next };
  for (const info of event.items) next = withInfo(next, info);
  return next;
}

function withDraft(state: ChatState, others: readonly Identity[]): ChatState {
  if (conversationWith(state, others) !== undefined) return state;
  const key = draftKey(others);
  const draft: Conversation = {
    key,
    id: null,
    group: false,
    name: "",
    others,
    memberCount: others.length + 1,
    member: true,
    admin: false,
    top: 0,
    read: 0,
    unread: 0,
    last: null,
    reaches: new Map(),
    counts: null,
    typing: [],
  };
  const timelines = keepRecent(state.timelines, { ...emptyTimeline(key, 0), more: false });
  return { ...state, conversations: new Map(state.conversations).set(key, draft), timelines };
}

function changeConversation(
  state: ChatState,
  key: ConversationKey,
  change: (conversation: Conversation) => Conversation,
): ChatState {
  const conversation = state.conversations.get(key);
  if (conversation === undefined) return state;
  return { ...state, conversations: new Map(state.conversations).set(key, change(conversation)) };
}

function changeTimeline(state: ChatState, key: ConversationKey, change: (timeline: Timeline) => Timeline): ChatState {
  const timeline = state.timelines.get(key);
  if (timeline === undefined) return state;
  return { ...state, timelines: new Map(state.timelines).set(key, change(timeline)) };
}

function opened(state: ChatState, key: ConversationKey): ChatState {
  const conversation = state.conversations.get(key);
  if (conversation === undefined) return state;
  // What was unread is marked where it begins, each time the conversation is opened.
  const unreadAfter = conversation.unread > 0 ? conversation.read : Number.MAX_SAFE_INTEGER;
  const timeline = state.timelines.get(key) ?? emptyTimeline(key, unreadAfter);
  // Untouched drafts go when something else is opened.
  const conversations = new Map(state.conversations);
  const left = state.open === null || state.open === key ? undefined : conversations.get(state.open);
  const kept = [...state.outgoing.values()].some((item) => item.key === left?.key);
  if (left?.id === null && !kept) conversations.delete(left.key);
  return { ...state, conversations, open: key, timelines: keepRecent(state.timelines, { ...timeline, unreadAfter }) };
}

// --- messages ------------------------------------------------------------------------------------

/** A message somebody wrote, a carbon of one's own, or an event of a group. */
function arrived(state: ChatState, message: Message): ChatState {
  const key = message.conversation;
  let next = state;
  if (!next.conversations.has(key)) next = withStranger(next, message);
  const outgoing = new Map(next.outgoing);
  if (message.outgoing && outgoing.delete(message.id)) next = { ...next, outgoing };
  next = changeTimeline(next, key, (timeline) => (timeline.atEnd ? addMessages(timeline, [message], false) : timeline));
  return changeConversation(next, key, (conversation) => {
    const fresh = message.seq > conversation.top;
    const counts = fresh && !message.outgoing && message.kind === "message" && message.seq > conversation.read;
    let changed: Conversation = {
      ...conversation,
      top: Math.max(conversation.top, message.seq),
      last: newest(message, conversation.last),
      unread: Math.min(maxUnread, conversation.unread + (counts ? 1 : 0)),
      typing: conversation.typing.filter((user) => !sameUser(user, message.from)),
    };
    // Who has read everything before has read what they write; what came a moment ago may be unseen.
    if (message.outgoing && message.seq === changed.read + 1) changed = readUpTo(changed, message.seq);
    return message.change === undefined ? changed : changeGroup(changed, state.me, message);
  });
}

/** A conversation known of by nothing but a message; the server is asked for the rest. */
function withStranger(state: ChatState, message: Message): ChatState {
  const named = message.to.length > 0 ? message.to : [message.from];
  const others = named.filter((user) => !sameUser(user, state.me));
  const conversation: Conversation = {
    key: message.conversation,
    id: message.conversation,
    group: message.group,
    name: message.change?.name ?? "",
    others,
    memberCount: others.length + 1,
    member: true,
    admin: message.change?.action === "create" && message.outgoing,
    top: 0,
    read: 0,
    unread: 0,
    last: null,
    reaches: new Map(),
    counts: null,
    typing: [],
  };
  const next = { ...state, conversations: new Map(state.conversations).set(conversation.key, conversation) };
  // Of a message that this user sent from another device, only the server knows to whom.
  return others.length > 0 ? adopt(next, conversation) : next;
}

function changeGroup(conversation: Conversation, me: Identity | null, message: Message): Conversation {
  const change = message.change;
  if (change === undefined) return conversation;
  const named = change.users;
  const meNamed = named.some((user) => sameUser(user, me));
  const without = (users: readonly Identity[]): Identity[] =>
    conversation.others.filter((other) => !users.some((user) => sameUser(user, other)));
  switch (change.action) {
    case "create":
    case "add": {
      const added = named.filter((user) => !sameUser(user, me));
      const others = [...without(added), ...added];
      const memberCount = conversation.memberCount + (others.length - conversation.others.length);
      return { ...conversation, others, memberCount, member: conversation.member || meNamed, name: change.name ?? conversation.name };
    }
    case "remove":
    case "leave": {
      const left = change.action === "leave" && named.length === 0 ? [message.from] : named;
      const others = without(left);
      const reaches = new Map(conversation.reaches);
      for (const user of left) reaches.delete(userKey(user));
      const memberCount = conversation.memberCount - (conversation.others.length - others.length);
      return { ...conversation, others, reaches, memberCount, member: conversation.member && !left.some((user) => sameUser(user, me)) };
    }
    case "rename":
      return { ...conversation, name: change.name ?? conversation.name };
  }
}

function accepted(state: ChatState, id: string, message: Message): ChatState {
  const from = state.outgoing.get(id)?.key;
  const outgoing = new Map(state.outgoing);
  outgoing.delete(id);
  let next: ChatState = { ...state, outgoing };
  const draft = from === undefined ? undefined : state.conversations.get(from);
  if (draft !== undefined && draft.id === null && !next.conversations.has(message.conversation)) {
    const named: Conversation = { ...draft, key: message.conversation, id: message.conversation };
    next = adopt({ ...next, conversations: new Map(next.conversations).set(named.key, named) }, named);
  }
  return arrived(next, message);
}

/** @param time  when it was told, where the message itself was never seen. */
function gone(state: ChatState, conversation: string, seq: number, time: Date): ChatState {
  const next = changeTimeline(state, conversation, (timeline) => removeMessage(timeline, seq, time));
  return changeConversation(next, conversation, (known) => ({
    ...known,
    top: Math.max(known.top, seq),
    last: known.last?.seq === seq ? { ...known.last, kind: "gone", text: "", attachments: [], headers: {} } : known.last,
  }));
}

function readUpTo(conversation: Conversation, seq: number): Conversation {
  const read = Math.max(conversation.read, seq);
  return { ...conversation, read, unread: read >= conversation.top ? 0 : conversation.unread };
}

function receipt(state: ChatState, event: ReceiptEvent): ChatState {
  return changeConversation(state, event.conversation, (conversation) => {
    if (event.user !== undefined) {
      // Another device of this user has read.
      if (sameUser(event.user, state.me)) return readUpTo(conversation, event.read);
      const reaches = new Map(conversation.reaches);
      advance(reaches, event.user, event);
      return { ...conversation, reaches };
    }
    if (event.seq === undefined || event.of === undefined) return conversation;
    const { seq, of } = event;
    const before = conversation.counts;
    if (before !== null && before.seq > seq) return conversation;
    // What two nodes count may cross on its way.
    const same = before?.seq === seq ? before : { delivered: 0, read: 0 };
    const delivered = Math.max(same.delivered, event.delivered);
    const read = Math.max(same.read, event.read);
    return { ...conversation, counts: { seq, delivered, read, of } };
  });
}

function first<T>(values: Iterable<T>): T {
  const { value } = values[Symbol.iterator]().next() as { value: T };
  return value;
}
