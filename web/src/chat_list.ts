/** Draws the list of conversations: who, the last words, when, what is unread, who is there. */
import { userKey, type ChatState, type Conversation, type ConversationKey } from "./chat_model.js";
import { element, make, reconcile, setHidden, setText, type Item } from "./chat_dom.js";
import { exactTime, presenceText, previewText, relativeTime, titleOf } from "./chat_text.js";

interface Entry {
  readonly conversation: Conversation;
  readonly title: string;
  readonly preview: string;
  readonly presence: "online" | "away" | "offline" | null;
  readonly presenceText: string;
  readonly when: string;
  readonly unsent: number;
  readonly open: boolean;
  readonly reachable: boolean;
}

/** Conversations by their last message, the newest first; those just begun before all others. */
export function ordered(state: ChatState): Conversation[] {
  const time = (conversation: Conversation): number =>
    conversation.id === null ? Number.MAX_SAFE_INTEGER : (conversation.last?.time.getTime() ?? 0);
  return [...state.conversations.values()].sort((a, b) => time(b) - time(a) || (a.key < b.key ? -1 : 1));
}

export class ConversationList {
  readonly #list = element("conversations");
  readonly #onOpen: (key: ConversationKey) => void;

  constructor(onOpen: (key: ConversationKey) => void) {
    this.#onOpen = onOpen;
  }

  draw(state: ChatState, now: number): void {
    const conversations = ordered(state);
    const reachable = conversations.find((conversation) => conversation.key === state.open) ?? conversations[0];
    const items = conversations.map((conversation): Item<Entry> => {
      const value = entryOf(state, conversation, conversation === reachable, now);
      const { title, preview, presence, when, unsent, open } = value;
      const stamp = JSON.stringify([title, preview, presence, value.presenceText, when, unsent, open, value.reachable, conversation.unread, conversation.group]);
      return { key: conversation.key, stamp, value };
    });
    reconcile(this.#list, items, () => this.#create(), fill);
    setHidden(element("moreConversations"), state.listNext === undefined);
    setHidden(element("firstRun"), !state.listLoaded || conversations.length > 0);
    setHidden(this.#list, conversations.length === 0);
  }

  #create(): HTMLLIElement {
    const row = make("li");
    const open = make("button", "conversation-row");
    open.type = "button";
    open.addEventListener("click", () => this.#onOpen(row.dataset["key"] ?? ""));
    row.append(open);
    return row;
  }
}

function entryOf(state: ChatState, conversation: Conversation, reachable: boolean, now: number): Entry {
  const [other] = conversation.others;
  const direct = !conversation.group && conversation.others.length === 1 && other !== undefined;
  const presence = direct ? state.presence.get(userKey(other)) : undefined;
  return {
    conversation,
    title: titleOf(conversation),
    preview: previewText(state, conversation),
    presence: presence?.state ?? null,
    presenceText: presenceText(presence, now),
    when: conversation.last === null ? "" : relativeTime(conversation.last.time, now),
    unsent: [...state.outgoing.values()].filter((item) => item.key === conversation.key).length,
    open: conversation.key === state.open,
    reachable,
  };
}

function fill(row: HTMLElement, entry: Entry): void {
  const button = row.querySelector("button");
  if (button === null) return;
  const { conversation } = entry;
  // One stop of the tabulator for the whole list; the arrows go through it.
  button.tabIndex = entry.reachable ? 0 : -1;
  if (entry.open) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");

  const mark = make("span", conversation.group ? "mark group" : "mark", [...entry.title][0]?.toUpperCase() ?? "");
  mark.setAttribute("aria-hidden", "true");
  if (entry.presence !== null) mark.dataset["presence"] = entry.presence;
  const name = make("span", "name", entry.title);
  name.append(hiddenWords(conversation.group ? "group" : entry.presenceText));
  const when = make("time", "when", entry.when);
  if (conversation.last !== null) {
    when.dateTime = conversation.last.time.toISOString();
    when.title = exactTime(conversation.last.time);
  }
  const preview = make("span", "preview", entry.preview);
  const counts = make("span", "counts");
  if (entry.unsent > 0) counts.append(make("span", "badge waiting", `${entry.unsent} not sent`));
  if (conversation.unread > 0) {
    const badge = make("span", "badge unread", conversation.unread > 99 ? "99+" : String(conversation.unread));
    badge.append(make("span", "visually-hidden", " unread"));
    counts.append(badge);
  }
  const second = make("span", "second");
  second.append(preview, counts);
  button.replaceChildren(mark, name, when, second);
}

function hiddenWords(text: string): HTMLElement {
  return make("span", "visually-hidden", text === "" ? "" : `, ${text}`);
}

/** Unread messages in the page's title, where a background tab shows them. */
export function drawTitle(state: ChatState): void {
  let unread = 0;
  for (const conversation of state.conversations.values()) unread += conversation.unread;
  const title = `${unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : ""}Chat · Countersign`;
  if (document.title !== title) document.title = title;
}

export function drawLoading(state: ChatState): void {
  setText(element("listStatus"), state.listProblem ?? (state.listLoaded ? "" : "Loading your conversations…"));
}
