/** One conversation as the page holds it: an address, and what can be done there. */
import { CountersignError, codeBadAnswer } from "./errors.js";
import type {
  Conversation,
  ConversationInfo,
  HistoryOptions,
  HistoryPage,
  MembersPage,
  Message,
  MessageContent,
  Sending,
  UserInput,
} from "./message_types.js";
import { decodeConversation, decodeHorizon, decodeMessage, list, present } from "./message_wire.js";
import type { MessageHub } from "./messages.js";
import { laneOf, type OutboxTarget } from "./outbox.js";
import { identityKey } from "./presence.js";
import { own, stringIn, type Body } from "./protocol.js";
import { stateOf } from "./receipts.js";
import { sameIdentity } from "./ticket.js";
import type { Identity } from "./types.js";

export class ConversationHandle implements Conversation {
  readonly #hub: MessageHub;
  readonly #target: OutboxTarget;
  readonly #lane: string;
  #id: string | null;

  constructor(hub: MessageHub, target: OutboxTarget) {
    this.#hub = hub;
    this.#target = target;
    this.#lane = laneOf(target);
    this.#id = "conv" in target ? target.conv : null;
  }

  get id(): string | null {
    return (this.#id ??= this.#hub.conversationOf(this.#lane));
  }

  send(content: string | MessageContent): Sending {
    return this.#hub.send(this.#target, typeof content === "string" ? { text: content } : content);
  }

  async info(): Promise<ConversationInfo> {
    const reply = await this.#hub.ask("conversation", this.#address());
    const info = decodeConversation(reply, this.#hub.self());
    if (info === null) throw new CountersignError(codeBadAnswer);
    this.#learn(info.conversation);
    this.#hub.learn(info);
    return info;
  }

  async history({ before, limit }: HistoryOptions = {}): Promise<HistoryPage> {
    const reply = await this.#hub.ask("history", {
      ...this.#address(),
      ...(before === undefined ? {} : { before }),
      ...(limit === undefined ? {} : { limit }),
    });
    this.#learn(stringIn(reply, "conv"));
    const self = this.#hub.self();
    const messages = list(own(reply, "messages")).map((value) => decodeMessage(value, self));
    return { messages: messages.filter(present), more: own(reply, "more") === true };
  }

  messages(): AsyncIterableIterator<Message> {
    return iterate(this.#hub, (message) => this.#holds(message));
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.messages();
  }

  markRead(upTo: number | Message): Promise<void> {
    const seq = typeof upTo === "number" ? upTo : upTo.seq;
    return this.#hub.markRead(this.#lane, this.#address(), seq);
  }

  typing(active: boolean): void {
    this.#hub.tellTyping(this.#lane, this.#address(), active);
  }

  async members(options: { after?: Identity | undefined; limit?: number | undefined } = {}): Promise<MembersPage> {
    const { after, limit } = options;
    const reply = await this.#hub.ask("members", {
      ...this.#address(),
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    });
    const members = list(own(reply, "members")).map(decodeHorizon).filter(present);
    return { members, more: own(reply, "more") === true };
  }

  stateOf(seq: number): "accepted" | "delivered" | "read" {
    const { id } = this;
    return id === null ? "accepted" : stateOf(this.#hub.progress(id, seq));
  }

  add(...users: UserInput[]): Promise<void> {
    return this.#change({ action: "add", users: users.map(toIdentity) });
  }
  remove(...users: UserInput[]): Promise<void> {
    return this.#change({ action: "remove", users: users.map(toIdentity) });
  }
  rename(name: string): Promise<void> {
    return this.#change({ action: "rename", name });
  }
  leave(): Promise<void> {
    return this.#change({ action: "leave" });
  }

  async #change(change: Body): Promise<void> {
    const { id } = this;
    await this.#hub.ask("group", { msg_id: this.#hub.newId(), ...(id === null ? {} : { conv: id }), ...change });
  }

  /** The users if they are all that is known; the server finds the conversation. */
  #address(): Body {
    const { id } = this;
    return id === null ? { ...this.#target } : { conv: id };
  }

  #learn(id: string | null): void {
    if (id === null || this.#id !== null) return;
    this.#id = id;
    this.#hub.same(this.#lane, id);
  }

  #holds(message: Message): boolean {
    const { id } = this;
    if (id !== null) return message.conversation === id;
    if (message.group || "conv" in this.#target) return false;
    const self = this.#hub.self();
    const people = message.to.length > 0 ? message.to : [message.from];
    const others = (users: readonly Identity[]): string =>
      users.filter((user) => !sameIdentity(user, self)).map(identityKey).sort().join();
    if (others(people) !== others(this.#target.to)) return false;
    this.#learn(message.conversation);
    return true;
  }
}

/**
 * Messages as they come. Each is in the loop's hands until the next one is asked for, or the loop ends; only
 * then does it count as handled.
 */
function iterate(hub: MessageHub, wanted: (message: Message) => boolean): AsyncIterableIterator<Message> {
  const waiting: { message: Message; done: () => void }[] = [];
  let inHand: (() => void) | null = null;
  let wake: (() => void) | null = null;
  let over = false;
  const off = hub.on("message", (message) => {
    if (!wanted(message)) return undefined;
    return new Promise<void>((done) => {
      waiting.push({ message, done });
      wake?.();
    });
  });
  const release = (): void => {
    inHand?.();
    inHand = null;
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      release();
      while (!over && waiting.length === 0) {
        await new Promise<void>((go) => {
          wake = go;
        });
      }
      const first = waiting.shift();
      if (over || first === undefined) return { done: true, value: undefined };
      inHand = first.done;
      return { done: false, value: first.message };
    },
    return() {
      over = true;
      off();
      release();
      for (const { done } of waiting.splice(0)) done();
      wake?.();
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}

/** A plain text is a user name. */
export function toIdentity(user: UserInput): Identity {
  return typeof user === "string" ? { type: "username", endpoint: user } : { type: user.type, endpoint: user.endpoint };
}
