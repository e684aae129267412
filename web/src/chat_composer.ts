/** The field one writes in: grows with the text, keeps what was begun in each conversation, says when one types. */
import { element, setHidden, setText } from "./chat_dom.js";
import { userKey, type ChatState, type Conversation, type ConversationKey } from "./chat_model.js";
import { nameOf } from "./chat_text.js";

/** What the server takes as the text of one message. */
const maxTextBytes = 32 * 1024;
/** The count is shown from here on. */
const nearlyFull = 30 * 1024;
/** The others forget after ten seconds that somebody types; until then it is said again. */
const typingAgainMs = 4_000;

export interface ComposerCalls {
  send(conversation: Conversation, text: string): void;
  typing(conversation: Conversation, active: boolean): void;
}

export class Composer {
  readonly #form = element<HTMLFormElement>("composer");
  readonly #field = element<HTMLTextAreaElement>("text");
  readonly #button = element<HTMLButtonElement>("send");
  readonly #hint = element("composerHint");
  readonly #calls: ComposerCalls;
  readonly #begun = new Map<ConversationKey, string>();
  readonly #encoder = new TextEncoder();
  #conversation: Conversation | null = null;
  #refusal = "";
  #saidTypingAt = Number.NEGATIVE_INFINITY;

  constructor(calls: ComposerCalls) {
    this.#calls = calls;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("keydown", (event) => {
      // While a word is being composed (Chinese, Japanese, …), Enter chooses it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("input", () => {
      this.#sayTyping(this.#field.value.trim() !== "");
      this.#fit();
    });
    this.#field.addEventListener("blur", () => this.#sayTyping(false));
  }

  focus(): void {
    if (!this.#field.disabled) this.#field.focus();
  }

  draw(state: ChatState, conversation: Conversation): void {
    const before = this.#conversation;
    if (before?.key !== conversation.key) this.#change(before, conversation, state);
    this.#conversation = conversation;
    this.#refusal = refusalOf(state, conversation);
    const refused = this.#refusal !== "";
    if (this.#field.disabled !== refused) this.#field.disabled = refused;
    this.#fit();
  }

  close(): void {
    if (this.#conversation !== null) this.#keep(this.#conversation.key);
    this.#sayTyping(false);
    this.#conversation = null;
  }

  #change(before: Conversation | null, next: Conversation, state: ChatState): void {
    // A draft that has got its name is the same conversation: what stands in the field stays.
    const renamed = before !== null && before.id === null && !state.conversations.has(before.key);
    if (renamed) return;
    if (before !== null) {
      this.#sayTyping(false);
      this.#keep(before.key);
    }
    this.#field.value = this.#begun.get(next.key) ?? "";
  }

  #keep(key: ConversationKey): void {
    if (this.#field.value === "") this.#begun.delete(key);
    else this.#begun.set(key, this.#field.value);
  }

  #send(): void {
    const conversation = this.#conversation;
    const text = this.#field.value;
    if (conversation === null || text.trim() === "" || this.#button.disabled) return;
    this.#sayTyping(false);
    this.#field.value = "";
    this.#begun.delete(conversation.key);
    this.#fit();
    this.#calls.send(conversation, text);
    this.#field.focus();
  }

  #sayTyping(active: boolean): void {
    if (this.#conversation === null) return;
    const now = performance.now();
    if (active) {
      if (now - this.#saidTypingAt < typingAgainMs) return;
      this.#saidTypingAt = now;
    } else {
      if (this.#saidTypingAt === Number.NEGATIVE_INFINITY) return;
      this.#saidTypingAt = Number.NEGATIVE_INFINITY;
    }
    this.#calls.typing(this.#conversation, active);
  }

  /** The number of lines, what may be sent, and why not. */
  #fit(): void {
    const text = this.#field.value;
    this.#field.rows = Math.min(8, Math.max(1, text.split("\n").length, Math.ceil(text.length / 60)));
    const bytes = text.length > nearlyFull / 4 ? this.#encoder.encode(text).length : 0;
    const tooLong = bytes > maxTextBytes;
    this.#button.disabled = this.#refusal !== "" || text.trim() === "" || tooLong;
    let hint = this.#refusal;
    if (tooLong) hint = `Too long: ${bytes.toLocaleString()} of ${maxTextBytes.toLocaleString()} bytes.`;
    else if (bytes > nearlyFull) hint = `${bytes.toLocaleString()} of ${maxTextBytes.toLocaleString()} bytes.`;
    setText(this.#hint, hint);
    setHidden(this.#hint, hint === "");
  }
}

/** Why nothing can be written here, for a person; empty if it can. */
function refusalOf(state: ChatState, conversation: Conversation): string {
  if (state.link.state === "ended") return "The sign-in has ended: nothing can be sent from this page.";
  if (!conversation.member) return "You are no longer a member of this group. You can read what was written while you were.";
  const [other] = conversation.others;
  if (!conversation.group && conversation.others.length === 1 && other !== undefined && state.blocked.has(userKey(other))) {
    return `You block ${nameOf(other)}. Unblock them under Options to write.`;
  }
  return "";
}
