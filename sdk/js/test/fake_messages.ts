/**
 * The messages of the fake gateway: inboxes, conversations, receipts, presence, as docs/reference/messages.md has
 * them. Tests read what it knows and make it misbehave.
 */
import type { Identity } from "../src/types.js";
import type { FakeConnection, FakeServer, Json, Refusal } from "./fake_server.js";

export const windowEntries = 128;
const zeros = "0".repeat(16);

interface StoredEntry {
  readonly offset: number;
  readonly chain: string;
  /** The device that sent it, and what that device gets instead. */
  readonly by: string | null;
  readonly body: Json;
}

export class FakeInbox {
  entries: StoredEntry[] = [];
  floor = 0;
  readonly cursors = new Map<string, number>();

  get top(): number {
    return this.floor + this.entries.length;
  }
  chainAt(offset: number): string | null {
    if (offset === 0) return zeros;
    return this.entries.find((entry) => entry.offset === offset)?.chain ?? (offset === this.floor ? this.floorChain : null);
  }
  floorChain = zeros;

  add(id: string, body: Json, by: string | null): void {
    const offset = this.top + 1;
    const before = this.chainAt(this.top) ?? zeros;
    this.entries.push({ offset, chain: hash(`${before}${id}${offset}`), by, body });
  }

  /** Removes what is too old. */
  expire(upTo: number): void {
    this.floorChain = this.chainAt(upTo) ?? zeros;
    this.entries = this.entries.filter(({ offset }) => offset > upTo);
    this.floor = upTo;
  }
}

interface FakeConversation {
  readonly id: string;
  readonly group: boolean;
  readonly members: Identity[];
  readonly messages: Json[];
  readonly horizons: Map<string, { delivered: number; read: number }>;
}

/** What a connection has been pushed. */
interface Stream {
  at: number;
  readonly key: string;
  readonly device: string;
}

export class FakeMessages {
  epoch = "epoch-1";
  readonly inboxes = new Map<string, FakeInbox>();
  readonly conversations = new Map<string, FakeConversation>();
  readonly #streams = new Map<FakeConnection, Stream>();
  readonly #results = new Map<string, { body: string; reply: Json }>();
  readonly blocked = new Set<string>();
  /** Nothing is pushed while it is set: a node that missed a publication. */
  silent = false;
  /** Entries in one frame. */
  batch = 20;
  /** Acknowledged beyond what was pushed: must stay empty. */
  readonly wrongAcks: Json[] = [];
  /** The commit of the next send happens, its answer does not arrive. */
  loseAnswers = 0;

  constructor(readonly server: FakeServer) {}

  inbox(user: Identity): FakeInbox {
    const key = keyOf(user);
    const inbox = this.inboxes.get(key) ?? new FakeInbox();
    this.inboxes.set(key, inbox);
    return inbox;
  }

  /** The member `inbox` of the reply to `connect`. */
  connect(connection: FakeConnection, user: Identity, device: string, body: Json): Json {
    if (!(body["caps"] as string[] | undefined)?.includes("messaging")) return {};
    return { inbox: this.#resume(connection, user, device, body["resume"] as Json | undefined) };
  }

  /** After the reply to `connect`. */
  begin(connection: FakeConnection): void {
    this.pump(connection);
  }

  #resume(connection: FakeConnection, user: Identity, device: string, resume: Json | undefined): Json {
    const inbox = this.inbox(user);
    const known = inbox.cursors.has(device);
    const start = known ? (inbox.cursors.get(device) ?? 0) : this.#firstOf(inbox);
    let from = start;
    let reason: string | null = known ? null : "unknown_device";
    if (resume !== undefined) {
      const offset = Number(resume["offset"]);
      if (resume["epoch"] !== this.epoch || offset > inbox.top || (offset >= inbox.floor && inbox.chainAt(offset) !== resume["chain"])) {
        [from, reason] = [Math.max(start, inbox.floor), "epoch"];
      } else if (offset < inbox.floor) {
        [from, reason] = [inbox.floor, "floor"];
      } else {
        [from, reason] = [offset, null];
      }
    }
    if (from > inbox.top) from = inbox.top;
    if (from < inbox.floor) [from, reason] = [inbox.floor, reason ?? "floor"];
    if (reason !== null) inbox.cursors.set(device, from);
    this.#streams.set(connection, { at: from, key: keyOf(user), device });
    return {
      epoch: this.epoch,
      floor: inbox.floor,
      top: inbox.top,
      cursor: inbox.cursors.get(device) ?? 0,
      from,
      from_chain: inbox.chainAt(from),
      recovered: reason === null,
      ...(reason === null ? {} : { reason }),
    };
  }

  #firstOf(inbox: FakeInbox): number {
    return inbox.cursors.size === 0 ? inbox.floor : Math.min(...inbox.cursors.values());
  }

  /** Pushes what the window has room for. */
  pump(connection: FakeConnection): void {
    const stream = this.#streams.get(connection);
    if (stream === undefined || !connection.open || this.silent) return;
    const inbox = this.inboxes.get(stream.key);
    if (inbox === undefined) return;
    const cursor = inbox.cursors.get(stream.device) ?? 0;
    const end = Math.min(inbox.top, Math.max(cursor, inbox.floor) + windowEntries);
    while (stream.at < end) {
      const next = inbox.entries.filter(({ offset }) => offset > stream.at && offset <= end).slice(0, this.batch);
      if (next.length === 0) break;
      stream.at = next.at(-1)?.offset ?? stream.at;
      const entries = next.map(({ offset, chain, by, body }) => ({ offset, chain, ...shownTo(stream.device, by, body) }));
      connection.push("inbox", { epoch: this.epoch, entries });
    }
  }

  pumpAll(): void {
    for (const connection of this.#streams.keys()) this.pump(connection);
  }

  /** Somebody writes, without a connection. */
  write(from: Identity, to: Identity, text: string, more: Json = {}): Json {
    return this.commit(from, null, { msg_id: `m-${++this.#made}`, to: [to], text, ...more });
  }
  #made = 0;

  /** Puts a message into the inboxes of all members. */
  commit(from: Identity, device: string | null, body: Json): Json {
    const dedupe = `${keyOf(from)} ${String(body["msg_id"])}`;
    const known = this.#results.get(dedupe);
    if (known !== undefined) {
      return known.body === JSON.stringify(body) ? { ...known.reply, dup: true } : { error: 210 };
    }
    const conversation = this.find(from, body);
    if (conversation === null) return { error: 103 };
    const { members, group, id } = conversation;
    const message: Json = {
      kind: "message",
      conv: id,
      seq: conversation.messages.length + 1,
      msg_id: body["msg_id"],
      from,
      time: new Date(this.server.now()).toISOString(),
      ...(body["text"] === undefined ? {} : { text: body["text"] }),
      ...(body["headers"] === undefined ? {} : { headers: body["headers"] }),
      ...(body["attachments"] === undefined ? {} : { attachments: body["attachments"] }),
      ...(members.length > 2 && !group ? { to: members } : {}),
      ...(group ? { group: true } : {}),
      ...(body["change"] === undefined ? {} : { kind: "group", change: body["change"] }),
    };
    conversation.messages.push(message);
    for (const member of members) {
      const own = keyOf(member) === keyOf(from) && message["kind"] === "message";
      this.inbox(member).add(String(body["msg_id"]), own ? { ...message, kind: "sent" } : message, own ? device : null);
    }
    const reply = {
      msg_id: body["msg_id"],
      conv: id,
      seq: message["seq"],
      offset: this.inbox(from).top,
      time: message["time"],
      dup: false,
    };
    this.#results.set(dedupe, { body: JSON.stringify(body), reply });
    this.pumpAll();
    return reply;
  }

  find(self: Identity, body: Json): FakeConversation | null {
    if (typeof body["conv"] === "string") return this.conversations.get(body["conv"]) ?? null;
    const people = [self, ...(body["to"] as Identity[])];
    const members = [...new Map(people.map((user) => [keyOf(user), user])).values()];
    const id = `c-${members.map(keyOf).sort().join("+")}`;
    return this.conversations.get(id) ?? this.make(id, members, false);
  }

  make(id: string, members: Identity[], group: boolean): FakeConversation {
    const conversation = { id, group, members, messages: [], horizons: new Map() };
    this.conversations.set(id, conversation);
    return conversation;
  }

  /** The store is restored from a copy that had only so much of this inbox. */
  restore(user: Identity, top: number): void {
    const inbox = this.inbox(user);
    inbox.entries = inbox.entries.filter(({ offset }) => offset <= top);
    for (const [device, cursor] of inbox.cursors) inbox.cursors.set(device, Math.min(cursor, top));
    this.epoch = `${this.epoch}+`;
  }

  answer(connection: FakeConnection, command: Json): Json | Refusal | null {
    const user = connection.instance?.identity;
    const device = connection.instance?.device ?? "";
    if (user === undefined) return null;
    const [verb = ""] = Object.keys(command).filter((name) => name !== "id");
    const body = command[verb] as Json;
    switch (verb) {
      case "send": {
        const reply = this.#send(user, device, body);
        if (this.loseAnswers > 0) {
          --this.loseAnswers;
          connection.close(1006);
        }
        return reply;
      }
      case "ack":
        return this.#ack(connection, user, body);
      case "sync": {
        const inbox = this.#resume(connection, user, device, body);
        setTimeout(() => this.pump(connection), 1);
        return { inbox };
      }
      case "conversation":
        return this.#view(this.find(user, body), user);
      case "conversations":
        return {
          conversations: [...this.conversations.values()]
            .filter(({ members }) => members.some((member) => keyOf(member) === keyOf(user)))
            .map((conversation) => this.#view(conversation, user)),
        };
      case "history":
        return this.#history(user, body);
      case "members":
        return { members: (this.#view(this.find(user, body), user) as Json)["members"], more: false };
      case "read":
        return this.#read(user, body);
      case "typing":
        this.#toOthers(this.find(user, body), user, "typing", { conv: this.find(user, body)?.id, user, state: body["state"] });
        return {};
      case "group":
        return this.#group(user, body);
      case "block":
        this.blocked.add(keyOf(body["user"] as Identity));
        return {};
      case "unblock":
        this.blocked.delete(keyOf(body["user"] as Identity));
        return {};
      case "blocked":
        return { users: [...this.blocked].map((key) => ({ type: key.split(":")[0], endpoint: key.split(":")[1] })) };
      case "presence.watch":
        return { users: (body["users"] as Identity[]).map((watched) => this.presenceOf(watched)) };
      case "presence.unwatch":
      case "presence.set":
        return {};
      default:
        return null;
    }
  }

  presenceOf(user: Identity): Json {
    const devices = this.server.live.filter(({ instance }) => instance !== null && keyOf(instance.identity) === keyOf(user));
    return { user, state: devices.length > 0 ? "online" : "offline", devices: devices.length };
  }

  #send(user: Identity, device: string, body: Json): Json | Refusal {
    const to = (body["to"] as Identity[] | undefined) ?? [];
    if (to.some((recipient) => this.blocked.has(keyOf(recipient)))) return { code: 214 };
    const reply = this.commit(user, device, body);
    return typeof reply["error"] === "number" ? { code: reply["error"] } : reply;
  }

  #ack(connection: FakeConnection, user: Identity, body: Json): Json | Refusal {
    const inbox = this.inbox(user);
    const stream = this.#streams.get(connection);
    const offset = Number(body["offset"]);
    if (body["epoch"] !== this.epoch) return { code: 112 };
    if (stream === undefined || offset > stream.at) {
      this.wrongAcks.push(body);
      return { code: 107 };
    }
    const before = inbox.cursors.get(stream.device) ?? 0;
    inbox.cursors.set(stream.device, Math.max(before, offset));
    setTimeout(() => this.pump(connection), 1);
    for (const { offset: at, body: entry } of inbox.entries) {
      if (at > before && at <= offset && entry["kind"] === "message") this.#deliver(user, entry);
    }
    return { offset: inbox.cursors.get(stream.device) };
  }

  #deliver(user: Identity, entry: Json): void {
    this.#advance(this.conversations.get(String(entry["conv"])) ?? null, user, Number(entry["seq"]), 0);
  }

  #read(user: Identity, body: Json): Json | Refusal {
    const conversation = this.find(user, body);
    const seq = Number(body["seq"]);
    this.#advance(conversation, user, seq, seq);
    return { seq };
  }

  #advance(conversation: FakeConversation | null, user: Identity, delivered: number, read: number): void {
    if (conversation === null) return;
    const before = conversation.horizons.get(keyOf(user)) ?? { delivered: 0, read: 0 };
    const next = { delivered: Math.max(before.delivered, delivered), read: Math.max(before.read, read) };
    conversation.horizons.set(keyOf(user), next);
    this.#toOthers(conversation, user, "receipts", { conv: conversation.id, user, ...next });
  }

  #toOthers(conversation: FakeConversation | null, user: Identity, kind: string, body: Json): void {
    for (const connection of this.server.live) {
      const other = connection.instance?.identity;
      if (other === undefined || keyOf(other) === keyOf(user)) continue;
      if (conversation?.members.some((member) => keyOf(member) === keyOf(other))) connection.push(kind, body);
    }
  }

  #history(user: Identity, body: Json): Json | Refusal {
    const conversation = this.find(user, body);
    if (conversation === null) return { code: 103 };
    const before = Number(body["before"] ?? Number.POSITIVE_INFINITY);
    const older = conversation.messages.filter((message) => Number(message["seq"]) < before).reverse();
    const limit = Number(body["limit"] ?? 50);
    return { conv: conversation.id, messages: older.slice(0, limit), more: older.length > limit };
  }

  #view(conversation: FakeConversation | null, user: Identity): Json | Refusal {
    if (conversation === null) return { code: 103 };
    const { id, group, members, messages, horizons } = conversation;
    const last = messages.at(-1);
    return {
      conv: id,
      group,
      version: 1,
      member: true,
      admin: false,
      member_count: members.length,
      members: members.map((member) => ({ user: member, ...(horizons.get(keyOf(member)) ?? { delivered: 0, read: 0 }) })),
      top: messages.length,
      read: horizons.get(keyOf(user))?.read ?? 0,
      unread: 0,
      ...(last === undefined ? {} : { last, last_time: last["time"] }),
    };
  }

  #group(user: Identity, body: Json): Json | Refusal {
    const { action, name, users } = body;
    if (action === "create") {
      const id = `g-${this.conversations.size + 1}`;
      this.make(id, [user, ...(users as Identity[])], true);
      return this.commit(user, null, { msg_id: body["msg_id"], conv: id, change: { action, name, users } });
    }
    const change = { action, ...(name === undefined ? {} : { name }), ...(users === undefined ? {} : { users }) };
    const reply = this.commit(user, null, { msg_id: body["msg_id"], conv: body["conv"], change });
    return typeof reply["error"] === "number" ? { code: reply["error"] } : reply;
  }
}

export function keyOf({ type, endpoint }: Identity): string {
  return `${type}:${endpoint}`;
}

function shownTo(device: string, by: string | null, body: Json): Json {
  if (by === null || by !== device) return body;
  return { kind: "sent", stub: true, conv: body["conv"], seq: body["seq"], msg_id: body["msg_id"] };
}

/** Sixteen hexadecimal digits that depend on all of the text. */
function hash(text: string): string {
  let high = 0x811c9dc5;
  let low = 0x01000193;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    high = Math.imul(high ^ code, 16777619) >>> 0;
    low = Math.imul(low ^ (code + 31), 2246822519) >>> 0;
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}
