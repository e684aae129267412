/**
 * Between the SDK and the state: its events become events of the page, what the person does becomes calls.
 * It decides nothing about delivery; queue, retries, order and positions are the SDK's.
 */
import type {
  Client,
  Conversation as SdkConversation,
  Identity,
  MembersPage,
  Message,
  Presence,
  SentMessage,
} from "../../sdk/js/src/public.js";
import {
  conversationWith,
  draftKey,
  sameUser,
  userKey,
  type Conversation,
  type ConversationKey,
  type Outgoing,
  type UserKey,
} from "./chat_model.js";
import type { ChatStore } from "./chat_store.js";

const listPage = 50;
const historyPage = 50;
/** People whose presence is watched: those of the conversations loaded, up to what the gateway allows. */
const maxWatched = 400;
/** Stubs of one's own messages count as missed but are not shown: this long after the last entry it is over. */
const catchUpPauseMs = 1_500;

export class ChatSession {
  readonly #client: Client;
  readonly #store: ChatStore;
  /** Called with each message somebody else wrote, for announcing it. */
  readonly #onIncoming: (message: Message) => void;
  readonly #followed = new WeakSet<SentMessage>();
  /** Messages not accepted yet, by id; and which of them this page itself has sent. */
  readonly #sent = new Map<string, SentMessage>();
  readonly #ours = new Set<string>();
  /** Those that the storage of this browser has. */
  readonly #kept = new Set<string>();
  readonly #watched = new Map<UserKey, () => void>();
  readonly #asked = new Set<ConversationKey>();
  readonly #marked = new Map<ConversationKey, number>();
  #catchUp: ReturnType<typeof setTimeout> | undefined;

  /** @param now  by the server's clock, in milliseconds. */
  constructor(client: Client, store: ChatStore, now: () => number, onIncoming: (message: Message) => void) {
    this.#client = client;
    this.#store = store;
    this.#onIncoming = onIncoming;
    const { messages } = client;
    messages.on("message", (message) => this.#arrived(message));
    messages.on("sent", (message) => this.#arrived(message));
    messages.on("group", (message) => {
      this.#arrived(message);
      this.#refresh(message.conversation);
    });
    messages.on("gone", ({ conversation, seq }) => {
      this.#progress();
      store.dispatch({ type: "gone", conversation, seq, time: new Date(now()) });
    });
    messages.on("failed", (event) => {
      this.#progress();
      store.dispatch({ type: "failed", event });
    });
    messages.on("receipts", (event) => store.dispatch({ type: "receipt", event }));
    messages.on("typing", ({ conversation, user, typing }) =>
      store.dispatch({ type: "typing", conversation, user, typing }),
    );
    messages.on("recovered", ({ missed }) => {
      store.dispatch({ type: "recovered", missed });
      this.#progress();
    });
    messages.on("reset", ({ reason }) => {
      this.#marked.clear();
      store.dispatch({ type: "reset", reason });
      void this.loadList();
      const { open } = store.state;
      if (open !== null) this.open(open);
    });
    messages.on("unsent", () => void this.#loadUnsent());
    client.on("state", ({ state, end }) => {
      if (end !== undefined) return;
      store.dispatch({ type: "link", state });
      if (state === "connected") this.#connected();
    });
    client.on("ended", ({ kind, reason }) => store.dispatch({ type: "ended", kind, reason }));
  }

  // --- what is loaded ----------------------------------------------------------------------------

  #connected(): void {
    const me = this.#client.info?.user;
    if (me !== undefined && !sameUser(me, this.#store.state.me)) this.#store.dispatch({ type: "signedIn", me });
    // Receipts and names may have changed meanwhile; messages come by themselves.
    void this.loadList();
    void this.#loadUnsent();
    void this.loadBlocked();
    const { open, timelines } = this.#store.state;
    const timeline = open === null ? undefined : timelines.get(open);
    if (open !== null && (timeline === undefined || timeline.problem !== null)) this.open(open);
  }

  async loadList(after?: string): Promise<void> {
    try {
      const page = await this.#client.messages.conversations({ limit: listPage, after });
      this.#store.dispatch({ type: "list", items: page.items, next: page.next, first: after === undefined });
      this.watchPresence();
    } catch (thrown) {
      // While it is offline the banner says so; the next connection asks again.
      if (this.#client.state === "connected") this.#store.dispatch({ type: "listFailed", message: reasonOf(thrown) });
    }
  }

  async loadBlocked(): Promise<void> {
    const users = await this.#client.messages.blocked().catch(() => null);
    if (users !== null) this.#store.dispatch({ type: "blocked", users });
  }

  /** Asks the server for what a message alone did not tell of its conversation. */
  #refresh(key: ConversationKey): void {
    if (this.#asked.has(key)) return;
    this.#asked.add(key);
    this.#client.messages
      .conversation({ conv: key })
      .info()
      .then((info) => {
        this.#store.dispatch({ type: "info", info });
        this.watchPresence();
      })
      .catch(() => {})
      .finally(() => this.#asked.delete(key));
  }

  /** Opens a conversation: from memory where its messages are there, else from the server. */
  open(key: ConversationKey): void {
    const { state } = this.#store;
    const had = state.timelines.get(key);
    this.#store.dispatch({ type: "open", key });
    const conversation = this.#store.state.conversations.get(key);
    if (conversation?.id == null) return;
    if (had === undefined || !had.atEnd || had.problem !== null) void this.#loadHistory(key, undefined);
    this.#refresh(key);
  }

  /** Opens a conversation that may not be in the list; `false` if there is none, or it is not this user's. */
  async openById(id: string): Promise<boolean> {
    try {
      if (!this.#store.state.conversations.has(id)) {
        const info = await this.#client.messages.conversation({ conv: id }).info();
        this.#store.dispatch({ type: "info", info });
      }
    } catch {
      return false;
    }
    this.open(id);
    return true;
  }

  loadOlder(key: ConversationKey): void {
    const timeline = this.#store.state.timelines.get(key);
    const oldest = timeline?.messages[0];
    if (timeline === undefined || timeline.loading || !timeline.more || oldest === undefined) return;
    void this.#loadHistory(key, oldest.seq);
  }

  loadNewest(key: ConversationKey): void {
    void this.#loadHistory(key, undefined);
  }

  async #loadHistory(key: ConversationKey, before: number | undefined): Promise<void> {
    this.#store.dispatch({ type: "historyAsked", key, before });
    try {
      const page = await this.#client.messages.conversation({ conv: key }).history({ before, limit: historyPage });
      this.#store.dispatch({ type: "history", key, page, before });
    } catch (thrown) {
      this.#store.dispatch({ type: "historyFailed", key, message: reasonOf(thrown) });
    }
  }

  // --- messages that come ------------------------------------------------------------------------

  #arrived(message: Message): void {
    const { state } = this.#store;
    const known = state.conversations.get(message.conversation);
    const fresh = message.seq > (known?.top ?? 0);
    this.#store.dispatch({ type: "message", message });
    if (known === undefined) this.#refresh(message.conversation);
    if (fresh && !message.outgoing) this.#onIncoming(message);
    this.#progress();
  }

  /** Something of what was missed has come: when nothing more does, the page is up to date. */
  #progress(): void {
    clearTimeout(this.#catchUp);
    if (this.#store.state.link.toCome === 0) return;
    this.#catchUp = setTimeout(() => this.#store.dispatch({ type: "caughtUp" }), catchUpPauseMs);
  }

  /** Tells the others that this user has seen everything up to here; never back, never twice. */
  markRead(conversation: Conversation, seq: number): void {
    if (conversation.id === null || seq <= Math.max(conversation.read, this.#marked.get(conversation.key) ?? 0)) return;
    if (this.#client.state !== "connected") return;
    const { key, id } = conversation;
    const before = this.#marked.get(key);
    this.#marked.set(key, seq);
    this.#client.messages
      .conversation({ conv: id })
      .markRead(seq)
      .then(() => this.#store.dispatch({ type: "readHere", key, seq }))
      .catch(() => {
        // Asked again with the next thing that is drawn.
        if (this.#marked.get(key) === seq) {
          if (before === undefined) this.#marked.delete(key);
          else this.#marked.set(key, before);
        }
      });
  }

  // --- messages that go --------------------------------------------------------------------------

  #target(conversation: Conversation): SdkConversation {
    const { messages } = this.#client;
    return messages.conversation(conversation.id === null ? conversation.others : { conv: conversation.id });
  }

  send(conversation: Conversation, text: string): void {
    const sending = this.#target(conversation).send(text);
    // It shows itself where it stands, with its reason.
    sending.catch(() => {});
    this.#ours.add(sending.message.id);
    this.#follow(sending.message, conversation.key);
  }

  retry(id: string): void {
    const message = this.#sent.get(id);
    if (message === undefined) return;
    try {
      this.#client.messages.retry(message);
    } catch {
      // The queue never took it, for instance because it was full: it goes as a new one.
      const conversation = this.#store.state.conversations.get(this.#store.state.outgoing.get(id)?.key ?? "");
      this.discard(id);
      if (conversation !== undefined) this.send(conversation, message.content.text ?? "");
    }
  }

  discard(id: string): void {
    const message = this.#sent.get(id);
    if (message === undefined) return;
    this.#sent.delete(id);
    this.#ours.delete(id);
    this.#kept.delete(id);
    this.#client.messages.discard(message);
    const ids = new Set(this.#store.state.outgoing.keys());
    ids.delete(id);
    this.#store.dispatch({ type: "unsent", ids });
  }

  typing(conversation: Conversation, active: boolean): void {
    if (conversation.id !== null && this.#client.state === "connected") this.#target(conversation).typing(active);
  }

  setAway(away: boolean): void {
    this.#client.messages.setAway(away);
  }

  async #loadUnsent(): Promise<void> {
    const waiting = await this.#client.messages.unsent().catch(() => null);
    if (waiting === null) return;
    for (const message of waiting) {
      this.#kept.add(message.id);
      this.#follow(message, null);
    }
    // What this page has sent speaks for itself; what it shows for others is gone when the queue says so.
    const ids = new Set([...waiting.map((message) => message.id), ...this.#ours]);
    this.#store.dispatch({ type: "unsent", ids });
  }

  #follow(message: SentMessage, key: ConversationKey | null): void {
    this.#sent.set(message.id, message);
    this.#show(message, key);
    if (this.#followed.has(message)) return;
    this.#followed.add(message);
    message.on("state", () => this.#show(message, key));
  }

  #show(message: SentMessage, key: ConversationKey | null): void {
    if (!this.#sent.has(message.id)) return; // discarded, or accepted before
    if (message.state === "queued" || message.state === "sending" || message.state === "failed") {
      const item: Outgoing = {
        id: message.id,
        key: key ?? this.#store.state.outgoing.get(message.id)?.key ?? this.#keyOf(message),
        state: message.state,
        kept: this.#kept.has(message.id),
        content: message.content,
        created: message.created,
        error: message.error === null ? null : { code: message.error.code, message: message.error.message },
      };
      // The draft it began in may have got its name meanwhile.
      const present = this.#store.state.outgoing.get(message.id);
      this.#store.dispatch({ type: "outgoing", item: present === undefined ? item : { ...item, key: present.key } });
      return;
    }
    this.#sent.delete(message.id);
    this.#ours.delete(message.id);
    this.#kept.delete(message.id);
    const stored = storedMessage(message, this.#store.state.me);
    if (stored === null) return;
    const known = this.#store.state.conversations.has(stored.conversation);
    this.#store.dispatch({ type: "accepted", id: message.id, message: stored });
    if (!known) this.#refresh(stored.conversation);
  }

  /** Where a message from before a reload belongs. */
  #keyOf(message: SentMessage): ConversationKey {
    if (message.conversation !== null) return message.conversation;
    const { target } = message;
    if (typeof target === "object" && "conv" in target) return target.conv;
    const list = typeof target === "object" && Array.isArray(target) ? target : [target];
    const others = list.map((user: string | Identity) =>
      typeof user === "string" ? { type: "username", endpoint: user } : user,
    );
    const known = conversationWith(this.#store.state, others);
    if (known !== undefined) return known.key;
    this.#store.dispatch({ type: "draft", others });
    return draftKey(others);
  }

  // --- people and groups -------------------------------------------------------------------------

  /** The identity of the person whom others of this application call by this name. */
  person(name: string): Identity {
    return { type: this.#store.state.me?.type ?? "username", endpoint: name };
  }

  /** Opens the conversation with these people; the server need not know of it yet. */
  begin(others: readonly Identity[]): void {
    const known = conversationWith(this.#store.state, others);
    if (known === undefined) this.#store.dispatch({ type: "draft", others });
    const key = known?.key ?? draftKey(others);
    this.open(key);
    if (known !== undefined) return;
    // It may be older than the list that is loaded. That it does not exist yet is no failure.
    this.#client.messages
      .conversation(others)
      .info()
      .then((info) => {
        if (info.top === 0) return;
        const wasOpen = this.#store.state.open === key;
        this.#store.dispatch({ type: "info", info });
        if (wasOpen) void this.#loadHistory(info.conversation, undefined);
      })
      .catch(() => {});
  }

  async createGroup(name: string, users: readonly Identity[]): Promise<void> {
    const group = await this.#client.messages.createGroup(name, users);
    const info = await group.info();
    this.#store.dispatch({ type: "info", info });
    this.open(info.conversation);
  }

  members(key: ConversationKey, after?: Identity): Promise<MembersPage> {
    return this.#client.messages.conversation({ conv: key }).members({ after, limit: 100 });
  }

  async changeGroup(key: ConversationKey, change: (group: SdkConversation) => Promise<void>): Promise<void> {
    const group = this.#client.messages.conversation({ conv: key });
    await change(group);
    this.#refresh(key);
  }

  async setBlocked(user: Identity, blocked: boolean): Promise<void> {
    await (blocked ? this.#client.messages.block(user) : this.#client.messages.unblock(user));
    await this.loadBlocked();
  }

  /** Follows the presence of those one writes with directly. */
  watchPresence(): void {
    const wanted: Identity[] = [];
    for (const conversation of this.#store.state.conversations.values()) {
      const [other] = conversation.others;
      if (conversation.group || conversation.id === null || conversation.others.length !== 1 || other === undefined) continue;
      if (!this.#watched.has(userKey(other)) && this.#watched.size + wanted.length < maxWatched) wanted.push(other);
    }
    if (wanted.length === 0) return;
    const show = (presence: Presence): void => this.#store.dispatch({ type: "presence", presence });
    const stop = this.#client.messages.watch(wanted, show);
    for (const user of wanted) this.#watched.set(userKey(user), stop);
  }
}

/** What the server has accepted, as it stands in the conversation; `null` while the SDK does not know where. */
function storedMessage(sent: SentMessage, me: Identity | null): Message | null {
  const { conversation, seq, time, content } = sent;
  if (conversation === null || seq === null || me === null) return null;
  const target = sent.target;
  return {
    kind: "message",
    id: sent.id,
    conversation,
    seq,
    from: me,
    to: [],
    time: time ?? sent.created,
    text: content.text ?? "",
    headers: content.headers ?? {},
    attachments: content.attachments ?? [],
    group: typeof target === "object" && "conv" in target && target.conv.startsWith("g-"),
    outgoing: true,
    redelivered: false,
  };
}

export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
