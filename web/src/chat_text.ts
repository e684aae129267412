/** The words of the chat page: states, times, group events, names. Pure. */
import type { Identity, Message, Presence } from "../../sdk/js/src/public.js";
import {
  outgoingOf,
  sameUser,
  sentStateOf,
  undeliveredKey,
  userKey,
  type ChatState,
  type Conversation,
  type Link,
  type Outgoing,
  type Undelivered,
} from "./chat_model.js";

/** The state of one of this user's messages: a name for style and tests, and what a person reads. */
export interface StateText {
  readonly name: "queueing" | "queued" | "sending" | "accepted" | "delivered" | "read" | "failed" | "undelivered";
  readonly text: string;
}

export function outgoingText(item: Outgoing): StateText {
  switch (item.state) {
    case "queued":
      return item.kept ? { name: "queued", text: "Queued on this device" } : { name: "queueing", text: "Being queued…" };
    case "sending":
      return { name: "sending", text: "Sending…" };
    case "failed":
      return { name: "failed", text: `Not sent: ${item.error?.message ?? "the server refused it."}` };
  }
}

export function sentText(state: ChatState, conversation: Conversation, message: Message): StateText {
  const missed = state.undelivered.get(undeliveredKey(message.conversation, message.seq));
  if (missed !== undefined) return { name: "undelivered", text: undeliveredText(missed) };
  const name = sentStateOf(conversation, message.seq);
  const several = conversation.memberCount > 2;
  const counts = conversation.counts?.seq === message.seq ? conversation.counts : tally(conversation, message.seq);
  switch (name) {
    case "read":
      return { name, text: several ? "Read by all" : "Read" };
    case "delivered":
      if (!several) return { name, text: "Delivered" };
      return { name, text: counts.read > 0 ? `Delivered to all, read by ${counts.read} of ${counts.of}` : "Delivered to all" };
    case "accepted":
      if (!several || counts.delivered === 0) return { name, text: "Stored by the server" };
      return { name, text: `Stored by the server, delivered to ${counts.delivered} of ${counts.of}` };
  }
}

function tally(conversation: Conversation, seq: number): { delivered: number; read: number; of: number } {
  const reaches = [...conversation.reaches.values()];
  return {
    delivered: reaches.filter((reach) => reach.delivered >= seq).length,
    read: reaches.filter((reach) => reach.read >= seq).length,
    of: conversation.memberCount - 1,
  };
}

function undeliveredText(missed: readonly Undelivered[]): string {
  const [first] = missed;
  const who = missed.length === 1 ? nameOf(first?.user) : `${missed.length} people`;
  return `Not delivered to ${who}: ${first?.message ?? ""}`;
}

// --- people and conversations --------------------------------------------------------------------

export function nameOf(user: Identity | undefined): string {
  return user?.endpoint ?? "somebody";
}

/** `alice`, `alice and bob`, `alice, bob and 3 others`. */
export function listNames(names: readonly string[], limit = 4): string {
  if (names.length <= 1) return names[0] ?? "nobody";
  const shown = names.length > limit ? names.slice(0, limit - 1) : names.slice(0, -1);
  const left = names.length - shown.length;
  return `${shown.join(", ")} and ${left === 1 ? names.at(-1) : `${left} others`}`;
}

export function titleOf(conversation: Conversation): string {
  if (conversation.group) return conversation.name === "" ? "Group" : conversation.name;
  if (conversation.others.length === 0) return "Conversation";
  return listNames(conversation.others.map(nameOf));
}

export function eventText(message: Message, me: Identity | null): string {
  const who = (user: Identity): string => (sameUser(user, me) ? "you" : user.endpoint);
  const actor = message.outgoing ? "You" : nameOf(message.from);
  const change = message.change;
  if (change === undefined) return "The group has changed.";
  const users = listNames(change.users.filter((user) => !sameUser(user, message.from)).map(who));
  switch (change.action) {
    case "create":
      return `${actor} made the group “${change.name ?? ""}” with ${users}.`;
    case "add":
      return `${actor} added ${users}.`;
    case "remove":
      return `${actor} removed ${users}.`;
    case "leave":
      return `${actor} left.`;
    case "rename":
      return `${actor} named the group “${change.name ?? ""}”.`;
  }
}

export function previewText(state: ChatState, conversation: Conversation): string {
  if (conversation.typing.length > 0) return typingText(conversation);
  const waiting = outgoingOf(state, conversation.key).at(-1);
  if (waiting !== undefined) return `You: ${shortened(waiting.content.text ?? "")}`;
  const { last } = conversation;
  if (last === null) return "No messages yet";
  if (last.kind === "gone") return "A message that is no longer there";
  if (last.kind === "group") return eventText(last, state.me);
  const text = last.text === "" && last.attachments.length > 0 ? "Attachment" : last.text;
  const short = shortened(text);
  if (last.outgoing) return `You: ${short}`;
  return conversation.others.length > 1 ? `${nameOf(last.from)}: ${short}` : short;
}

function shortened(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

export function typingText(conversation: Conversation): string {
  const names = conversation.typing.map(nameOf);
  if (names.length === 0) return "";
  return names.length > 3 ? "Several people are typing…" : `${listNames(names)} ${names.length > 1 ? "are" : "is"} typing…`;
}

/** Below the title: presence of one person, or who is in it. */
export function subtitleOf(state: ChatState, conversation: Conversation, now: number): string {
  if (conversation.group) {
    if (!conversation.member) return "You are no longer a member";
    return conversation.memberCount === 1 ? "Only you" : `${conversation.memberCount} members`;
  }
  const [other] = conversation.others;
  if (other === undefined) return "";
  if (state.blocked.has(userKey(other)) && conversation.others.length === 1) return "Blocked by you";
  if (conversation.others.length > 1) return `${conversation.others.length + 1} people`;
  return presenceText(state.presence.get(userKey(other)), now);
}

export function presenceText(presence: Presence | undefined, now: number): string {
  if (presence === undefined) return "";
  if (presence.state === "online") return "Online";
  if (presence.state === "away") return "Away";
  return presence.lastSeen === null ? "Offline" : `Last seen ${relativeTime(presence.lastSeen, now)}`;
}

// --- the connection ------------------------------------------------------------------------------

export function linkText(link: Link): string {
  switch (link.state) {
    case "connecting":
      return "Connecting…";
    case "live":
      return "Live";
    case "behind":
      return `Behind: ${count(link.toCome, "entry", "entries")} to come`;
    case "offline":
      return "Offline";
    case "ended":
      return "Ended";
  }
}

export function linkDetail(link: Link): string {
  switch (link.state) {
    case "offline":
      return "What you write is queued on this device and goes out when the connection is back.";
    case "live":
      if (link.recovered === null) return "";
      return link.recovered.missed === 0
        ? "Recovered: nothing was missed."
        : `Recovered without a hole: ${count(link.recovered.missed, "missed entry", "missed entries")} came.`;
    default:
      return "";
  }
}

export const resetTexts = {
  epoch: "The server’s store was restored or has lost the place where this page was. Messages from the time in between may be missing; what you see was loaded anew.",
  floor: "This device was away for longer than the server keeps messages. Older ones may be missing; what you see was loaded anew.",
  unknown_device: "The server has forgotten this device. Messages from the time in between may be missing here; what you see was loaded anew.",
} as const;

function count(many: number, one: string, more: string): string {
  return `${many} ${many === 1 ? one : more}`;
}

// --- times ---------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const dayLong = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const dayShort = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export function clockTime(time: Date): string {
  return clock.format(time);
}

export function exactTime(time: Date): string {
  return exact.format(time);
}

/** A day's number in the reader's own zone. */
function dayNumber(time: Date): number {
  return Math.floor(Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()) / 86_400_000);
}

export function dayLabel(time: Date, now: number): string {
  const ago = dayNumber(new Date(now)) - dayNumber(time);
  if (ago === 0) return "Today";
  return ago === 1 ? "Yesterday" : dayLong.format(time);
}

/** `now`, `5 minutes ago`, `yesterday`, `3 Mar 2026`. @param now  by the server's clock. */
export function relativeTime(time: Date, now: number): string {
  const seconds = Math.max(0, Math.round((now - time.getTime()) / 1000));
  if (seconds < 60) return "just now";
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  const days = dayNumber(new Date(now)) - dayNumber(time);
  if (days === 0) return relative.format(-Math.floor(seconds / 3600), "hour");
  return days < 7 ? relative.format(-days, "day") : dayShort.format(time);
}
