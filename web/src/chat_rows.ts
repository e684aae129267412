/** What stands in the timeline, line by line: messages with separators of days and of what was unread. Pure. */
import type { Message } from "../../sdk/js/src/public.js";
import { outgoingOf, sameUser, type ChatState, type Conversation, type Outgoing } from "./chat_model.js";
import { dayLabel, eventText, outgoingText, sentText, type StateText } from "./chat_text.js";

export type Row =
  | { readonly kind: "day"; readonly key: string; readonly text: string }
  | { readonly kind: "unread"; readonly key: string }
  | { readonly kind: "event"; readonly key: string; readonly text: string; readonly time: Date }
  | {
      readonly kind: "message";
      readonly key: string;
      readonly message: Message;
      /** Shown above, where the one before is somebody else's. */
      readonly sender: string | null;
      readonly state: StateText | null;
    }
  | { readonly kind: "outgoing"; readonly key: string; readonly item: Outgoing; readonly state: StateText };

/** @param now  by the server's clock, in milliseconds. */
export function rowsOf(state: ChatState, conversation: Conversation, now: number): Row[] {
  const timeline = state.timelines.get(conversation.key);
  const rows: Row[] = [];
  let day = "";
  let previous: Message | null = null;
  let separated = false;
  const several = conversation.group || conversation.others.length > 1;
  for (const message of timeline?.messages ?? []) {
    const label = dayLabel(message.time, now);
    if (label !== day) {
      rows.push({ kind: "day", key: `day:${message.seq}`, text: label });
      day = label;
      previous = null;
    }
    if (!separated && !message.outgoing && message.seq > (timeline?.unreadAfter ?? Infinity)) {
      rows.push({ kind: "unread", key: "unread" });
      separated = true;
      previous = null;
    }
    rows.push(rowOf(state, conversation, message, several && !sameUser(message.from, previous?.from ?? null)));
    previous = message;
  }
  // Beyond what is loaded nothing can stand in its place.
  if (timeline?.atEnd !== false) {
    for (const item of outgoingOf(state, conversation.key)) {
      rows.push({ kind: "outgoing", key: `own:${item.id}`, item, state: outgoingText(item) });
    }
  }
  return rows;
}

function rowOf(state: ChatState, conversation: Conversation, message: Message, named: boolean): Row {
  if (message.kind === "group") {
    return { kind: "event", key: `seq:${message.seq}`, text: eventText(message, state.me), time: message.time };
  }
  if (message.kind === "gone") {
    return { kind: "event", key: `seq:${message.seq}`, text: "A message that is no longer there.", time: message.time };
  }
  if (message.outgoing) {
    // The key it had while it was outgoing: the same element goes on to show it.
    return { kind: "message", key: `own:${message.id}`, message, sender: null, state: sentText(state, conversation, message) };
  }
  return { kind: "message", key: `seq:${message.seq}`, message, sender: named ? message.from.endpoint : null, state: null };
}
