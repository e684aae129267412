/** The options of a conversation: block and unblock; of a group its members, its name, leaving it. */
import type { Horizon, Identity } from "../../sdk/js/src/public.js";
import { ask, closeByButtons, showProblem } from "./chat_dialogs.js";
import { button, element, make, setHidden, setText } from "./chat_dom.js";
import { sameUser, userKey, type ChatState, type Conversation } from "./chat_model.js";
import { reasonOf, type ChatSession } from "./chat_session.js";
import { nameOf, subtitleOf, titleOf } from "./chat_text.js";

export class ConversationOptions {
  readonly #dialog = element<HTMLDialogElement>("optionsDialog");
  readonly #problem = element("optionsProblem");
  readonly #members = element("members");
  readonly #newName = element<HTMLInputElement>("newName");
  readonly #addName = element<HTMLInputElement>("addName");
  readonly #session: ChatSession;
  #state: ChatState | null = null;
  #conversation: Conversation | null = null;
  #loaded: Horizon[] = [];
  #more = false;

  constructor(session: ChatSession) {
    this.#session = session;
    closeByButtons(this.#dialog);
    element("blockPerson").addEventListener("click", () => void this.#block());
    element("leaveGroup").addEventListener("click", () => void this.#leave());
    element("moreMembers").addEventListener("click", () => void this.#loadMembers(this.#loaded.at(-1)?.user));
    element("renameForm").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#newName.value.trim();
      if (name !== "") void this.#change((group) => group.rename(name));
    });
    element("addForm").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#addName.value.trim();
      if (name === "") return;
      void this.#change(async (group) => {
        await group.add(this.#session.person(name));
        this.#addName.value = "";
      });
    });
  }

  open(state: ChatState, conversation: Conversation, now: number): void {
    this.#loaded = [];
    this.#more = false;
    this.#members.replaceChildren();
    this.#newName.value = conversation.name;
    this.#addName.value = "";
    showProblem(this.#problem, "");
    this.#dialog.showModal();
    element("optionsTitle").focus();
    this.draw(state, conversation, now);
    const several = conversation.group || conversation.others.length > 1;
    if (several && conversation.id !== null) void this.#loadMembers();
  }

  /** Follows what changes while it is open. */
  draw(state: ChatState, conversation: Conversation, now: number): void {
    this.#state = state;
    this.#conversation = conversation;
    if (!this.#dialog.open) return;
    setText(element("optionsTitle"), titleOf(conversation));
    setText(element("optionsFacts"), subtitleOf(state, conversation, now));
    const several = conversation.group || conversation.others.length > 1;
    setHidden(element("membersPart"), !several || conversation.id === null);
    const admin = conversation.group && conversation.member && conversation.admin;
    setHidden(element("renameForm"), !admin);
    setHidden(element("addForm"), !admin);
    setHidden(element("leaveGroup"), !conversation.group || !conversation.member);
    const [other] = conversation.others;
    setHidden(element("blockPerson"), several || other === undefined);
    if (other !== undefined) setText(element("blockPerson"), `${this.#isBlocked(other) ? "Unblock" : "Block"} ${nameOf(other)}`);
  }

  #isBlocked(user: Identity): boolean {
    return this.#state?.blocked.has(userKey(user)) ?? false;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    showProblem(this.#problem, "");
    try {
      await work();
    } catch (thrown) {
      showProblem(this.#problem, `That did not work: ${reasonOf(thrown)}`);
    }
  }

  async #change(change: Parameters<ChatSession["changeGroup"]>[1]): Promise<void> {
    const id = this.#conversation?.id;
    if (id == null) return;
    await this.#attempt(async () => {
      await this.#session.changeGroup(id, change);
      await this.#loadMembers();
    });
  }

  async #block(): Promise<void> {
    const [other] = this.#conversation?.others ?? [];
    if (other === undefined) return;
    await this.#attempt(() => this.#session.setBlocked(other, !this.#isBlocked(other)));
  }

  async #leave(): Promise<void> {
    const conversation = this.#conversation;
    if (conversation?.id == null) return;
    const sure = await ask({
      title: `Leave “${titleOf(conversation)}”?`,
      text: "You keep what was written while you were a member, and get nothing of what comes after it.",
      yes: "Leave the group",
      no: "Stay",
    });
    if (!sure) return;
    const { id } = conversation;
    await this.#attempt(async () => {
      await this.#session.changeGroup(id, (group) => group.leave());
      this.#dialog.close();
    });
  }

  async #loadMembers(after?: Identity): Promise<void> {
    const key = this.#conversation?.id;
    if (key == null) return;
    await this.#attempt(async () => {
      const page = await this.#session.members(key, after);
      if (this.#conversation?.id !== key) return;
      this.#loaded = after === undefined ? [...page.members] : [...this.#loaded, ...page.members];
      this.#more = page.more;
      this.#drawMembers();
    });
  }

  #drawMembers(): void {
    const conversation = this.#conversation;
    if (conversation === null) return;
    const rows = this.#loaded.map((member) => this.#memberRow(conversation, member));
    this.#members.replaceChildren(...rows);
    setHidden(element("moreMembers"), !this.#more);
  }

  #memberRow(conversation: Conversation, member: Horizon): HTMLElement {
    const mine = sameUser(member.user, this.#state?.me ?? null);
    const row = make("li");
    const who = make("div");
    who.append(make("p", "agent", mine ? `${nameOf(member.user)} (you)` : nameOf(member.user)));
    const facts: string[] = [];
    if (mine && conversation.group) facts.push(conversation.admin ? "Admin: may change the group" : "Member");
    if (!mine && conversation.top > 0) facts.push(reachText(member, conversation.top));
    if (this.#isBlocked(member.user)) facts.push("Blocked by you");
    who.append(make("p", "fine", facts.join(" · ")));
    row.append(who);
    if (!mine && conversation.group && conversation.member && conversation.admin) {
      const remove = button("Remove", "quiet", () => void this.#change((group) => group.remove(member.user)));
      remove.setAttribute("aria-label", `Remove ${nameOf(member.user)}`);
      row.append(remove);
    }
    if (!mine) {
      const blocked = this.#isBlocked(member.user);
      const block = button(blocked ? "Unblock" : "Block", "quiet", () => {
        void this.#attempt(async () => {
          await this.#session.setBlocked(member.user, !blocked);
          this.#drawMembers();
        });
      });
      block.setAttribute("aria-label", `${blocked ? "Unblock" : "Block"} ${nameOf(member.user)}`);
      row.append(block);
    }
    return row;
  }
}

function reachText(member: Horizon, top: number): string {
  if (member.read >= top) return "Has read everything";
  if (member.delivered >= top) return "Has got everything";
  return "Not everything delivered yet";
}
