// A device of a user, as careful as the SDK is: it notes what it has handled before it acknowledges,
// sends each message until it is accepted, and comes back after every fault, to any node.
//
// Its note and its queue of unsent messages outlive its connections and its own deaths, as a
// browser's storage outlives a page.
import crypto from "node:crypto";
import { Connection } from "./connection.mjs";
import { Ledger } from "./ledger.mjs";

const acknowledgeMs = 50;
const maxInFlight = 8;

/** A ticket as every producer writes it. */
function mint({ key, secret }, username) {
  const payload = JSON.stringify({
    identity: { type: "username", endpoint: username },
    expiresIn: 3600,
    applicationKey: key,
    created: new Date().toISOString(),
  });
  const signature = crypto.createHmac("sha256", Buffer.from(secret, "base64")).update(payload).digest("base64");
  return `${Buffer.from(payload).toString("base64")}:${signature}`;
}

export class Device {
  /**
   * @param nodes        {host, port} of every gateway node
   * @param application  {key, secret}
   */
  constructor({ name, user, ledger, nodes, application, random }) {
    Object.assign(this, { name, user, ledger, nodes, application, random });
    this.note = null; // {epoch, offset, chain} of the last entry handled
    this.begun = 0; // the highest offset ever handed over
    this.queue = []; // numbers of messages, with where they go, not yet accepted
    this.inFlight = new Set(); // conversations with a send under way
    this.connection = null;
    this.stopped = false;
    this.top = 0;
  }

  start() {
    this.comeBack(0);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.acknowledgeTimer);
    this.connection?.drop();
  }

  /** Everything handled, everything accepted. */
  get idle() {
    return this.queue.length === 0 && this.live && this.unacknowledged.length === 0 && this.note !== null && this.note.offset >= this.top;
  }

  comeBack(delayMs) {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), delayMs);
  }

  async connect() {
    this.live = false;
    this.inFlight.clear();
    const connection = new Connection(this.random.pick(this.nodes), {
      onPush: (kind, body) => this.connection === connection && this.onPush(kind, body),
      onClose: () => {
        if (this.connection !== connection) return;
        this.live = false;
        this.connection = null;
        this.early = [];
        this.comeBack(this.random.between(20, 400));
      },
    });
    this.connection = connection;
    try {
      await connection.ready;
    } catch {
      return;
    }
    const note = this.note;
    if (note) this.ledger.acknowledges(this.name, this.unacknowledged.splice(0)); // the position says it
    const reply = await connection.command("connect", {
      userTicket: mint(this.application, this.user),
      device: this.name,
      caps: ["messaging"],
      ...(note ? { resume: note } : {}),
    });
    if (this.connection !== connection) return;
    if (reply?.connect === undefined) return connection.drop();
    const { inbox } = reply.connect;
    this.ledger.connected(this.name, note, inbox);
    // Who has a note and is not recovered may hear again what it has handled, under other offsets. Whoever
    // has none has handled nothing but what `begun` counts: nothing that repeats is excused.
    if (note && !inbox.recovered) this.redeliverTo = inbox.top;
    this.note = { epoch: inbox.epoch, offset: inbox.from, chain: inbox.from_chain };
    this.top = Math.max(this.top, inbox.top);
    this.live = true;
    this.early.splice(0).forEach(([kind, body]) => this.onPush(kind, body));
    this.pump();
  }

  early = []; // pushes that arrived while this program had not yet looked at the reply to connect
  redeliverTo = 0;
  unacknowledged = [];

  onPush(kind, body) {
    if (this.connection === null) return; // it died while this program worked off what had come
    if (!this.live) return this.early.push([kind, body]);
    if (kind === "inbox") for (const entry of body.entries) this.take(entry, body.epoch);
    if (kind === "receipts") this.ledger.receipt(this.name, body);
    if (kind === "top") this.top = Math.max(this.top, body.top);
    if (kind === "reset") {
      this.ledger.reset(this.name, body);
      this.redeliverTo = body.top;
      this.note = { epoch: body.epoch, offset: body.from, chain: body.from_chain };
    }
  }

  take(entry, epoch) {
    if (this.connection === null) return; // it died in the middle of a frame
    this.ledger.arrived(this.name, entry);
    this.top = Math.max(this.top, entry.offset);
    if (entry.offset <= this.note.offset) return; // after a sync the stream may begin a little earlier
    const redelivered = entry.offset <= this.begun || entry.offset <= this.redeliverTo;
    this.begun = Math.max(this.begun, entry.offset);
    this.ledger.handled(this.name, entry, redelivered);
    if (this.random.chance(this.deathChance ?? 0)) return this.connection.drop(); // between the listener's end and the note
    this.note = { epoch, offset: entry.offset, chain: entry.chain };
    this.unacknowledged.push({ kind: entry.kind, conv: entry.conv, seq: entry.seq });
    this.acknowledgeTimer ??= setTimeout(() => this.acknowledge(), acknowledgeMs);
  }

  async acknowledge() {
    this.acknowledgeTimer = undefined;
    if (!this.live || this.unacknowledged.length === 0) return;
    const entries = this.unacknowledged;
    this.unacknowledged = [];
    this.ledger.acknowledges(this.name, entries);
    const { epoch, offset } = this.note;
    const { connection } = this;
    const reply = await connection.command("ack", { epoch, offset });
    if (reply?.error !== undefined && !reply.error.temporary && this.connection === connection) {
      throw new Error(`${this.name}: an ack was refused: ${JSON.stringify(reply.error)}`);
    }
    if (this.random.chance(0.05)) this.markRead(entries.at(-1));
  }

  markRead({ kind, conv, seq }) {
    if (kind !== "message" || !this.live) return;
    this.ledger.reads(this.name, { conv, seq });
    void this.connection.command("read", { conv, seq });
  }

  /** @param to  {users: […]} or {conv: "g-…", members: […]} */
  send(to) {
    const recipients = (to.users ?? to.members).filter((user) => user !== this.user);
    this.queue.push({ number: this.ledger.begin(this.user, recipients), to, key: to.conv ?? [...to.users].sort().join(" ") });
    this.pump();
  }

  /** Sends what waits: in order within a conversation, several conversations at once. */
  pump() {
    if (!this.live) return;
    for (const item of this.queue) {
      if (this.inFlight.size >= maxInFlight) return;
      if (!this.inFlight.has(item.key)) void this.deliver(item);
    }
  }

  async deliver(item) {
    const { connection } = this;
    this.inFlight.add(item.key);
    const { number, to } = item;
    const target = to.conv ? { conv: to.conv } : { to: to.users.map((endpoint) => ({ type: "username", endpoint })) };
    const reply = await connection.command("send", {
      msg_id: Ledger.messageId(number),
      ...target,
      text: Ledger.text(number, this.user),
    });
    if (reply?.send !== undefined) {
      this.ledger.accepted(number, reply.send);
      this.queue = this.queue.filter((other) => other !== item);
    } else if (reply?.error !== undefined && !reply.error.temporary && reply.error.code !== 101 && reply.error.code !== 110) {
      this.ledger.refused(number, reply.error);
      this.queue = this.queue.filter((other) => other !== item);
    }
    if (this.connection !== connection) return;
    if (reply?.error?.retry_after_ms > 0) await new Promise((resolve) => setTimeout(resolve, reply.error.retry_after_ms));
    this.inFlight.delete(item.key);
    this.pump();
  }

  /** Asks how far the stream goes, so that a device that heard nothing knows whether it is behind. */
  async refreshTop() {
    if (!this.live) return;
    const { connection, note } = this;
    const reply = await connection.command("sync", note);
    if (reply?.sync?.inbox !== undefined && this.connection === connection) {
      const { inbox } = reply.sync;
      this.ledger.connected(this.name, note, inbox);
      this.top = Math.max(this.top, inbox.top);
    }
  }

  /** A cable is pulled. */
  drop() {
    this.connection?.drop();
  }
}
