/** The loaded part of a conversation: kept in order, without repeats, and never longer than the page can show. */
import type { Message } from "../../sdk/js/src/public.js";
import type { ConversationKey, Timeline } from "./chat_model.js";

/** Messages kept of one conversation; what is beyond is loaded again when it is wanted. */
export const maxMessages = 300;
/** Conversations whose messages are kept for coming back to them. */
export const maxTimelines = 8;

export function emptyTimeline(key: ConversationKey, unreadAfter: number): Timeline {
  return { key, messages: [], loading: false, problem: null, more: false, atEnd: true, unreadAfter };
}

/**
 * Adds messages by their `seq`; what is there already is not doubled.
 * @param older  they were loaded from before the present ones: what is too much is cut at the new end, and
 *   the timeline no longer reaches up to now.
 */
export function addMessages(timeline: Timeline, added: readonly Message[], older: boolean): Timeline {
  const bySeq = new Map(timeline.messages.map((message) => [message.seq, message]));
  for (const message of added) {
    const present = bySeq.get(message.seq);
    // A tombstone is final: what is gone does not come back with a page that was asked for earlier.
    if (present?.kind !== "gone") bySeq.set(message.seq, message);
  }
  const messages = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
  if (messages.length <= maxMessages) return { ...timeline, messages };
  if (older) return { ...timeline, messages: messages.slice(0, maxMessages), atEnd: false };
  return { ...timeline, messages: messages.slice(-maxMessages), more: true };
}

/** Leaves the place of a message, and nothing of what it said; also of one that came only as a tombstone. */
export function removeMessage(timeline: Timeline, seq: number, time: Date): Timeline {
  const newest = timeline.messages.at(-1)?.seq ?? 0;
  if (timeline.atEnd && seq > newest) return addMessages(timeline, [tombstone(timeline.key, seq, time)], false);
  const messages = timeline.messages.map((message): Message =>
    message.seq === seq ? { ...message, kind: "gone", text: "", headers: {}, attachments: [] } : message,
  );
  return { ...timeline, messages };
}

function tombstone(conversation: string, seq: number, time: Date): Message {
  return {
    kind: "gone",
    id: "",
    conversation,
    seq,
    from: { type: "", endpoint: "" },
    to: [],
    time,
    text: "",
    headers: {},
    attachments: [],
    group: false,
    outgoing: false,
    redelivered: false,
  };
}

/** The timelines with this one as the most recent; the one that was opened longest ago makes room. */
export function keepRecent(
  timelines: ReadonlyMap<ConversationKey, Timeline>,
  timeline: Timeline,
): Map<ConversationKey, Timeline> {
  const kept = new Map(timelines);
  kept.delete(timeline.key);
  kept.set(timeline.key, timeline);
  for (const key of kept.keys()) {
    if (kept.size <= maxTimelines) break;
    kept.delete(key);
  }
  return kept;
}
