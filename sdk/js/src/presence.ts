/**
 * Who is there, and who is typing. Both are passing: what is not renewed is forgotten, what could not be sent
 * is not sent later, and after a loss of the connection everything is asked for anew.
 */
import { reportListenerFailure } from "./log.js";
import type { Presence, TypingEvent } from "./message_types.js";
import { decodeIdentity, decodePresence, list } from "./message_wire.js";
import { own, stringIn, type Body } from "./protocol.js";
import type { Requests, SendCommand } from "./requests.js";
import type { Identity } from "./types.js";

type PresenceListener = (presence: Presence) => void;

const commandLimitMs = 10_000;
/** Others forget after 10 s that somebody is typing; who goes on typing is renewed before. */
export const typingRenewMs = 4_000;
export const typingForgetMs = 10_000;

export function identityKey({ type, endpoint }: Identity): string {
  return JSON.stringify([type, endpoint]);
}

export class PresenceBook {
  readonly #requests: () => Requests | null;
  readonly #watched = new Map<string, { user: Identity; listeners: Set<PresenceListener>; last: Presence | null }>();
  #away = false;

  /** @param requests  `null` while nobody is signed in. */
  constructor(requests: () => Requests | null) {
    this.#requests = requests;
  }

  watch(users: readonly Identity[], listener: PresenceListener): () => void {
    const added: Identity[] = [];
    for (const user of users) {
      const key = identityKey(user);
      const entry = this.#watched.get(key) ?? { user, listeners: new Set(), last: null };
      if (!this.#watched.has(key)) added.push(user);
      this.#watched.set(key, entry);
      entry.listeners.add(listener);
      const { last } = entry;
      if (last !== null) queueMicrotask(() => entry.listeners.has(listener) && call(listener, last));
    }
    if (added.length > 0) void this.#ask(added);
    return () => {
      const left = users.filter((user) => {
        const entry = this.#watched.get(identityKey(user));
        entry?.listeners.delete(listener);
        return entry?.listeners.size === 0;
      });
      this.unwatch(left);
    };
  }

  unwatch(users: readonly Identity[]): void {
    const gone = users.filter((user) => this.#watched.delete(identityKey(user)));
    if (gone.length > 0) this.#requests()?.ask("presence.unwatch", { users: gone }).catch(() => undefined);
  }

  setAway(away: boolean): void {
    this.#away = away;
    this.#tellAway();
  }

  connected(): void {
    if (this.#away) this.#tellAway();
    const users = [...this.#watched.values()].map(({ user }) => user);
    if (users.length > 0) void this.#ask(users);
  }

  push(body: unknown): void {
    const presence = decodePresence(body);
    if (presence === null) return;
    const entry = this.#watched.get(identityKey(presence.user));
    if (entry === undefined) return;
    entry.last = presence;
    for (const listener of [...entry.listeners]) call(listener, presence);
  }

  async #ask(users: readonly Identity[]): Promise<void> {
    try {
      const reply = await this.#requests()?.ask("presence.watch", { users });
      for (const value of list(reply?.["users"])) this.push(value);
    } catch {
      // Refused, or no connection for now: `connected` asks again.
    }
  }

  #tellAway(): void {
    const state = this.#away ? "away" : "online";
    this.#requests()?.ask("presence.set", { state }).catch(() => undefined);
  }
}

export class TypingBook {
  readonly #send: SendCommand;
  readonly #changed: (event: TypingEvent) => void;
  readonly #told = new Map<string, number>();
  readonly #others = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #now: () => number;

  constructor(send: SendCommand, now: () => number, changed: (event: TypingEvent) => void) {
    this.#send = send;
    this.#now = now;
    this.#changed = changed;
  }

  /** This user types, or stopped; may be called at every key. */
  tell(lane: string, target: Body, active: boolean): void {
    const told = this.#told.get(lane);
    if (active ? told !== undefined && this.#now() < told + typingRenewMs : told === undefined) return;
    if (active) this.#told.set(lane, this.#now());
    else this.#told.delete(lane);
    this.#send("typing", { ...target, state: active ? "start" : "stop" }, commandLimitMs, () => undefined);
  }

  /** A message was sent: whoever reads it knows that the typing is over. */
  sent(lane: string): void {
    this.#told.delete(lane);
  }

  push(body: Body): void {
    const conversation = stringIn(body, "conv");
    const user = decodeIdentity(own(body, "user"));
    if (conversation === null || user === null) return;
    this.#set(conversation, user, stringIn(body, "state") === "start");
  }

  /** Somebody's message came: they are not typing it any more. */
  wrote(conversation: string, user: Identity): void {
    this.#set(conversation, user, false);
  }

  stop(): void {
    this.#told.clear();
    for (const timer of this.#others.values()) clearTimeout(timer);
    this.#others.clear();
  }

  #set(conversation: string, user: Identity, typing: boolean): void {
    const key = `${conversation} ${identityKey(user)}`;
    const timer = this.#others.get(key);
    clearTimeout(timer);
    this.#others.delete(key);
    if (typing) this.#others.set(key, setTimeout(() => this.#set(conversation, user, false), typingForgetMs));
    if (typing !== (timer !== undefined)) this.#changed({ conversation, user, typing });
  }
}

function call(listener: PresenceListener, presence: Presence): void {
  try {
    listener(presence);
  } catch (thrown) {
    reportListenerFailure(thrown);
  }
}
