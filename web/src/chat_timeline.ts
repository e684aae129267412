/** Draws the open conversation: its messages, where each of them is, and keeps the place one reads at. */
import type { Attachment } from "../../sdk/js/src/public.js";
import { element, make, button, reconcile, setHidden, setText, type Item } from "./chat_dom.js";
import type { ChatState, Conversation, Timeline } from "./chat_model.js";
import { rowsOf, type Row } from "./chat_rows.js";
import { clockTime, exactTime, type StateText } from "./chat_text.js";

export interface TimelineCalls {
  loadOlder(): void;
  loadNewest(): void;
  retry(id: string): void;
  discard(id: string): void;
  /** The newest message is in sight. */
  seen(seq: number): void;
}

/** Nearer than this to the end, the view follows new messages. */
const nearPixels = 80;
/** Longer texts are folded. */
const foldedLetters = 1_500;

export class TimelineView {
  readonly #box = element("timeline");
  readonly #list = element("messages");
  readonly #jump = element<HTMLButtonElement>("jump");
  readonly #calls: TimelineCalls;
  /** Which conversation is drawn, and its newest message when it was last in sight. */
  #shown: string | null = null;
  #seenTop = 0;
  #follows = true;

  constructor(calls: TimelineCalls) {
    this.#calls = calls;
    this.#box.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    element("older").addEventListener("click", () => {
      this.#follows = false; // who asks for older ones wants to see them, not the end
      this.#calls.loadOlder();
    });
    this.#jump.addEventListener("click", () => this.#toEnd());
    new ResizeObserver(() => this.#follow()).observe(this.#box);
  }

  draw(state: ChatState, conversation: Conversation, now: number): void {
    const timeline = state.timelines.get(conversation.key);
    const another = this.#shown !== conversation.key && this.#shown !== null;
    if (this.#shown !== conversation.key) {
      this.#shown = conversation.key;
      this.#follows = true;
      this.#seenTop = conversation.top;
      if (another) this.#list.replaceChildren();
    }
    const rows = rowsOf(state, conversation, now);
    const items = rows.map((row): Item<Row> => ({ key: row.key, stamp: stampOf(row), value: row }));
    const place = this.#placeOfReading();
    reconcile(this.#list, items, () => make("li"), (line, row) => this.#fill(line, row));
    setHidden(element("older"), timeline?.more !== true);
    setHidden(element("beginning"), timeline === undefined || timeline.more || timeline.loading || timeline.problem !== null);
    this.#list.setAttribute("aria-busy", String(timeline?.loading === true));
    setText(element("timelineStatus"), statusOf(timeline));
    if (this.#follows) this.#follow();
    else this.#keep(place);
    this.#drawJump(conversation, timeline);
    this.#report(conversation, timeline);
  }

  close(): void {
    this.#shown = null;
    this.#list.replaceChildren();
  }

  // --- where one reads ---------------------------------------------------------------------------

  #atEnd(): boolean {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < nearPixels;
  }

  #onScroll(): void {
    this.#follows = this.#atEnd();
    if (this.#box.scrollTop < nearPixels) this.#calls.loadOlder();
    if (this.#follows) this.#calls.seen(this.#latest);
    setHidden(this.#jump, this.#follows && !this.#cut);
  }

  #follow(): void {
    if (!this.#follows) return;
    const separator = this.#list.querySelector<HTMLElement>("[data-kind=unread]");
    this.#box.scrollTop = this.#box.scrollHeight;
    // A long unread part is read from where it begins.
    if (separator !== null && !this.#separatorShown) {
      this.#separatorShown = true;
      if (separator.offsetTop < this.#box.scrollTop) this.#box.scrollTop = separator.offsetTop - nearPixels;
    }
    if (separator === null) this.#separatorShown = false;
  }
  #separatorShown = false;

  /** The uppermost message in sight, and where it stands; separators come and go with what is loaded above. */
  #placeOfReading(): { line: Element; top: number } | null {
    const edge = this.#box.getBoundingClientRect().top;
    for (const line of this.#list.querySelectorAll(".message, .event, .outgoing")) {
      const { top, bottom } = line.getBoundingClientRect();
      if (bottom > edge) return { line, top };
    }
    return null;
  }

  #keep(place: { line: Element; top: number } | null): void {
    if (place === null || !place.line.isConnected) return;
    this.#box.scrollTop += place.line.getBoundingClientRect().top - place.top;
  }

  #toEnd(): void {
    this.#follows = true;
    if (this.#cut) this.#calls.loadNewest();
    this.#follow();
    this.#calls.seen(this.#latest);
    setHidden(this.#jump, true);
    this.#box.focus({ preventScroll: true });
  }

  /** Whether newer messages are not loaded, and the number of the newest one known. */
  #cut = false;
  #latest = 0;

  #drawJump(conversation: Conversation, timeline: Timeline | undefined): void {
    this.#cut = timeline?.atEnd === false;
    this.#latest = conversation.top;
    if (this.#follows && !this.#cut) this.#seenTop = conversation.top;
    const fresh = conversation.top - this.#seenTop;
    setHidden(this.#jump, this.#follows && !this.#cut);
    setText(this.#jump, fresh > 0 ? `${fresh} new ${fresh === 1 ? "message" : "messages"} ↓` : "To the newest ↓");
  }

  #report(conversation: Conversation, timeline: Timeline | undefined): void {
    if (timeline !== undefined && timeline.atEnd && this.#follows && timeline.messages.length > 0) {
      this.#calls.seen(conversation.top);
    }
  }

  // --- one line ----------------------------------------------------------------------------------

  #fill(line: HTMLElement, row: Row): void {
    line.className = `line ${row.kind}`;
    line.dataset["kind"] = row.kind;
    delete line.dataset["state"];
    switch (row.kind) {
      case "day":
        line.replaceChildren(make("span", "", row.text));
        return;
      case "unread":
        line.replaceChildren(make("span", "", "New messages"));
        return;
      case "event":
        line.replaceChildren(make("span", "", row.text), timeOf(row.time));
        return;
      case "message": {
        const { message, sender, state } = row;
        if (message.outgoing) line.classList.add("mine");
        if (state !== null) line.dataset["state"] = state.name;
        const bubble = make("div", "bubble");
        const who = message.outgoing ? "You" : message.from.endpoint;
        if (sender !== null) bubble.append(make("p", "sender", sender));
        else bubble.append(make("span", "visually-hidden", `${who}: `));
        bubble.append(...bodyOf(message.text, message.attachments));
        bubble.append(footOf(message.time, state));
        line.replaceChildren(bubble);
        return;
      }
      case "outgoing": {
        const { item, state } = row;
        line.classList.add("mine");
        line.dataset["state"] = state.name;
        const bubble = make("div", "bubble");
        bubble.append(make("span", "visually-hidden", "You: "));
        bubble.append(...bodyOf(item.content.text ?? "", item.content.attachments ?? []));
        bubble.append(footOf(item.created, state));
        if (item.state === "failed") {
          const actions = make("p", "actions");
          actions.append(
            button("Try again", "quiet", () => this.#calls.retry(item.id)),
            button("Delete", "quiet", () => this.#calls.discard(item.id)),
          );
          bubble.append(actions);
        }
        line.replaceChildren(bubble);
        return;
      }
    }
  }
}

function stampOf(row: Row): string {
  switch (row.kind) {
    case "day":
    case "unread":
      return row.kind + ("text" in row ? row.text : "");
    case "event":
      return `event ${row.text} ${row.time.getTime()}`;
    case "message":
      return JSON.stringify(["message", row.message.id, row.message.time, row.sender, row.state, row.message.text.length]);
    case "outgoing":
      return JSON.stringify(["outgoing", row.state, row.item.created]);
  }
}

function statusOf(timeline: Timeline | undefined): string {
  if (timeline === undefined) return "";
  if (timeline.problem !== null) return `The messages could not be loaded: ${timeline.problem}`;
  return timeline.loading ? "Loading messages…" : "";
}

function timeOf(time: Date): HTMLTimeElement {
  const shown = make("time", "", clockTime(time));
  shown.dateTime = time.toISOString();
  shown.title = exactTime(time);
  return shown;
}

function footOf(time: Date, state: StateText | null): HTMLElement {
  const foot = make("p", "foot");
  foot.append(timeOf(time));
  if (state !== null) {
    const where = make("span", "where", state.text);
    where.dataset["state"] = state.name;
    foot.append(where);
  }
  return foot;
}

function bodyOf(text: string, attachments: readonly Attachment[]): HTMLElement[] {
  const parts: HTMLElement[] = [];
  if (text !== "") {
    const body = make("p", "text", text.length > foldedLetters ? `${text.slice(0, foldedLetters)}…` : text);
    body.dir = "auto";
    parts.push(body);
    if (text.length > foldedLetters) {
      const unfold = button("Show all of it", "quiet slim", () => {
        body.textContent = text;
        unfold.remove();
      });
      parts.push(unfold);
    }
  }
  for (const attachment of attachments) parts.push(attachmentOf(attachment));
  return parts;
}

/** A reference to something elsewhere. Only addresses of the web become links; the page loads none itself. */
function attachmentOf(attachment: Attachment): HTMLElement {
  const line = make("p", "attachment");
  const url = URL.canParse(attachment.url) ? new URL(attachment.url) : null;
  const name = attachment.name ?? attachment.url;
  if (url?.protocol === "https:" || url?.protocol === "http:") {
    const link = make("a", "", name);
    link.href = url.href;
    link.rel = "noopener noreferrer";
    link.target = "_blank";
    line.append("Attachment: ", link, ` at ${url.host}`);
  } else {
    line.append(`Attachment: ${name}`);
  }
  return line;
}
