/** The dialogs: questions with two answers, and a new conversation. The browser keeps the focus inside. */
import { element, make, button, setHidden, setText } from "./chat_dom.js";
import { reasonOf } from "./chat_session.js";

/** People a conversation that is not a group may have, besides this user. */
const maxOthers = 10;

/** Buttons that leave a dialog without doing anything, and a click beside it. */
export function closeByButtons(dialog: HTMLDialogElement): void {
  for (const one of dialog.querySelectorAll<HTMLElement>("[data-close]")) {
    one.addEventListener("click", () => dialog.close());
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

export function showProblem(place: HTMLElement, text: string): void {
  setText(place, text);
  setHidden(place, text === "");
}

export interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly no: string;
}

/** Asks, and answers `false` for anything but the button that says so. The focus begins at the harmless one. */
export function ask(question: Question): Promise<boolean> {
  const dialog = element<HTMLDialogElement>("askDialog");
  setText(element("askTitle"), question.title);
  setText(element("askText"), question.text);
  setText(element("askYes"), question.yes);
  setText(element("askNo"), question.no);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export interface NewConversationCalls {
  begin(names: readonly string[]): void;
  createGroup(name: string, names: readonly string[]): Promise<void>;
  /** This user's own name, with whom there is nothing to talk about. */
  ownName(): string;
}

/** Collects whom to write to. Names may hold commas and blanks, so that each is added by itself. */
export class NewConversation {
  readonly #dialog = element<HTMLDialogElement>("newDialog");
  readonly #field = element<HTMLInputElement>("person");
  readonly #people = element("people");
  readonly #asGroup = element<HTMLInputElement>("asGroup");
  readonly #groupName = element<HTMLInputElement>("groupName");
  readonly #problem = element("newProblem");
  readonly #submit = element<HTMLButtonElement>("newSubmit");
  readonly #calls: NewConversationCalls;
  readonly #names = new Set<string>();

  constructor(calls: NewConversationCalls) {
    this.#calls = calls;
    closeByButtons(this.#dialog);
    element("addPerson").addEventListener("click", () => {
      this.#add();
      this.#field.focus();
    });
    this.#field.addEventListener("keydown", (event) => {
      // Enter adds; with nothing typed it goes on, as in any form.
      if (event.key !== "Enter" || event.isComposing || this.#field.value.trim() === "") return;
      if (!this.#asGroup.checked) return;
      event.preventDefault();
      this.#add();
    });
    this.#asGroup.addEventListener("change", () => {
      setHidden(element("groupField"), !this.#asGroup.checked);
      setText(this.#submit, this.#asGroup.checked ? "Make the group" : "Begin");
    });
    element("newForm").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#finish();
    });
  }

  open(): void {
    this.#names.clear();
    this.#drawPeople();
    this.#field.value = "";
    this.#groupName.value = "";
    this.#asGroup.checked = false;
    setHidden(element("groupField"), true);
    setText(this.#submit, "Begin");
    showProblem(this.#problem, "");
    this.#dialog.showModal();
    this.#field.focus();
  }

  #add(): boolean {
    const name = this.#field.value.trim();
    if (name === "") return true;
    if (name === this.#calls.ownName()) {
      showProblem(this.#problem, "That is you. Add somebody else.");
      return false;
    }
    this.#names.add(name);
    this.#field.value = "";
    showProblem(this.#problem, "");
    this.#drawPeople();
    return true;
  }

  #drawPeople(): void {
    const chips = [...this.#names].map((name) => {
      const chip = make("li", "", name);
      const remove = button("×", "quiet", () => {
        this.#names.delete(name);
        this.#drawPeople();
        this.#field.focus();
      });
      remove.setAttribute("aria-label", `Take ${name} off`);
      chip.append(remove);
      return chip;
    });
    this.#people.replaceChildren(...chips);
    setHidden(this.#people, chips.length === 0);
  }

  async #finish(): Promise<void> {
    if (!this.#add()) return this.#field.focus();
    const names = [...this.#names];
    const groupName = this.#groupName.value.trim();
    if (this.#asGroup.checked && groupName === "") {
      showProblem(this.#problem, "A group needs a name.");
      return this.#groupName.focus();
    }
    if (names.length === 0 && !this.#asGroup.checked) {
      showProblem(this.#problem, "Say with whom: type a user name.");
      return this.#field.focus();
    }
    if (!this.#asGroup.checked) {
      if (names.length > maxOthers) {
        showProblem(this.#problem, `A conversation has up to ${maxOthers} people besides you. Make it a group.`);
        return this.#asGroup.focus();
      }
      this.#dialog.close();
      return this.#calls.begin(names);
    }
    this.#submit.disabled = true;
    try {
      await this.#calls.createGroup(groupName, names);
      this.#dialog.close();
    } catch (thrown) {
      showProblem(this.#problem, `The group was not made: ${reasonOf(thrown)}`);
    } finally {
      this.#submit.disabled = false;
    }
  }
}
