// The ledger: what every client did and saw, and the proof that nothing acknowledged was lost.
//
// Clients report each event as it happens; the ledger checks at once what can be checked at once and
// the rest in `settle()`, when all faults have ended and every device has caught up. It keeps a few
// bytes for each message and device, so a million messages fit.
//
// What it proves, by the names that violations carry:
//   lost          an accepted message reached every device of every recipient
//   repeated      none was handed over twice without `redelivered`
//   order         a device gets the messages of a conversation in the order of their seq
//   one-order     a seq of a conversation is one message, for everybody
//   dense         offsets follow each other without a hole
//   same-stream   an offset of a user is one entry with one chain, for all devices and at all times
//   idempotent    a repeated send is answered as the first time
//   forged        a message has the sender and the text it was sent with, and was sent
//   early-receipt no delivered receipt before a device of that member acknowledged, no read receipt before one
//                 marked it as read, and no count of a group beyond those who did
//   receipt-back  a horizon never goes back, where one node tells of it
//   recovered     `recovered: true` continues exactly where the client stands, a client that was here
//                 before hears it always, unless the store was restored, and a fresh one begins at 0
//   refused       no send is refused for good
//   unanswered    every send is answered in the end

/** Raises a horizon. */
function raise(horizons, conv, seq) {
  if ((horizons.get(conv) ?? 0) < seq) horizons.set(conv, seq);
}

const kindNumbers = { message: 1, sent: 2, group: 3, failed: 4, gone: 5 };

export class Ledger {
  violations = [];
  counts = { sent: 0, accepted: 0, refused: 0, duplicates: 0, handled: 0, redelivered: 0, acks: 0, reads: 0, receipts: 0, connects: 0, recovered: 0, resets: 0 };
  #messages = []; // by number: {sender, conversation, recipients, reply}
  #conversations = new Map(); // name on the wire → {owners: message number by seq}
  #events = new Map(); // conversation and seq of what happened to a group → who did it
  #doubts = new Map(); // receipts that pass a seq whose sender is not known yet, for settle()
  #users = new Map(); // name → {entries: by offset, acknowledged and read: Map conversation → seq, devices}
  #devices = new Map(); // name → {user, seen: Map…}
  #restored = false;
  #maxViolations;
  #receiptsMayCross;

  /** @param receiptsMayCross  two nodes tell of one user: clients take the higher number of each */
  constructor({ maxViolations = 50, receiptsMayCross = false } = {}) {
    this.#maxViolations = maxViolations;
    this.#receiptsMayCross = receiptsMayCross;
  }

  #violation(name, text) {
    if (this.violations.length < this.#maxViolations) this.violations.push(`${name}: ${text}`);
    else this.violationsBeyond = (this.violationsBeyond ?? 0) + 1;
  }

  addUser(user) {
    this.#users.set(user, { entries: [], acknowledged: new Map(), read: new Map(), devices: [], horizons: new Map() });
  }

  addDevice(device, user) {
    const record = { name: device, user, seen: new Uint8Array(1024), lastSeq: new Map(), last: null, waiting: [] };
    this.#devices.set(device, record);
    this.#users.get(user).devices.push(record);
  }

  /** The store goes back in time: positions may change once. */
  storeRestored() {
    this.#restored = true;
  }

  /** A message is about to be sent. @return its number; its `msg_id` and text are made of it */
  begin(sender, recipients) {
    this.counts.sent++;
    return this.#messages.push({ sender, recipients, reply: null }) - 1;
  }

  static messageId(number) {
    return `m${number}`;
  }

  static text(number, sender) {
    return `message ${number} of ${sender}`;
  }

  accepted(number, reply) {
    const message = this.#messages[number];
    if (message.reply === null) {
      this.counts.accepted++;
      message.reply = { conv: reply.conv, seq: reply.seq, offset: reply.offset, time: reply.time };
      if (reply.left_out?.length > 0) this.#violation("refused", `message ${number} leaves out ${JSON.stringify(reply.left_out)}`);
      this.#own(reply.conv, reply.seq, number);
    } else {
      for (const member of ["conv", "seq", "offset", "time"]) {
        if (message.reply[member] !== reply[member]) {
          this.#violation("idempotent", `message ${number}: ${member} ${message.reply[member]}, then ${reply[member]}`);
        }
      }
    }
    if (reply.dup) this.counts.duplicates++;
  }

  refused(number, error) {
    this.counts.refused++;
    this.#violation("refused", `message ${number}: ${JSON.stringify(error)}`);
  }

  #own(conv, seq, number) {
    let conversation = this.#conversations.get(conv);
    if (conversation === undefined) this.#conversations.set(conv, (conversation = []));
    if (conversation[seq] === undefined) conversation[seq] = number;
    else if (conversation[seq] !== number) {
      this.#violation("one-order", `${conv} ${seq} is message ${conversation[seq]} and message ${number}`);
    }
  }

  /** A connect was accepted. `note`: the position the device showed, or null. */
  connected(device, note, inbox) {
    const record = this.#devices.get(device);
    this.counts.connects++;
    const first = note === null;
    if (inbox.recovered) {
      this.counts.recovered++;
      if (note !== null && (inbox.from !== note.offset || inbox.from_chain !== note.chain || inbox.epoch !== note.epoch)) {
        this.#violation("recovered", `${device} stood at ${note.offset} ${note.chain} and goes on at ${inbox.from} ${inbox.from_chain}`);
      }
    } else if (!first && !this.#restored) {
      this.#violation("recovered", `${device} at ${note.offset} was not recovered: ${inbox.reason}`);
    }
    // Everybody connects before anybody speaks.
    if (first && inbox.from !== 0) this.#violation("recovered", `${device}, which was never here, begins at ${inbox.from}`);
    record.last = inbox.from;
  }

  reset(device, push) {
    this.counts.resets++;
    if (!this.#restored) this.#violation("recovered", `${device} was reset: ${push.reason}`);
    this.#devices.get(device).last = push.from;
  }

  /** An entry has arrived, before anybody handles it. */
  arrived(device, entry) {
    const record = this.#devices.get(device);
    if (entry.offset !== record.last + 1) this.#violation("dense", `${device} got ${entry.offset} after ${record.last}`);
    record.last = entry.offset;
    const user = this.#users.get(record.user);
    const known = user.entries[entry.offset];
    const now = `${entry.chain} ${kindNumbers[entry.kind]} ${entry.conv} ${entry.seq}`;
    if (known === undefined) user.entries[entry.offset] = now;
    else if (known !== now) this.#violation("same-stream", `${record.user} ${entry.offset} is ${known} and ${now}`);
  }

  /** An entry is handed to the application. */
  handled(device, entry, redelivered) {
    const record = this.#devices.get(device);
    if (entry.kind === "group") this.#events.set(`${entry.conv} ${entry.seq}`, entry.from.endpoint);
    if (entry.kind !== "message" && entry.kind !== "sent") return;
    const number = Number(entry.msg_id.slice(1));
    const message = this.#messages[number];
    if (message === undefined) return this.#violation("forged", `${device} got ${entry.msg_id}, which nobody sent`);
    this.#own(entry.conv, entry.seq, number);
    if (!entry.stub) {
      const right = entry.from.endpoint === message.sender && entry.text === Ledger.text(number, message.sender);
      if (!right) this.#violation("forged", `${device} got message ${number} from ${entry.from.endpoint}: ${entry.text}`);
    }
    const toMe = entry.kind === "sent" ? message.sender === record.user : message.recipients.includes(record.user);
    if (!toMe) this.#violation("forged", `${device} got message ${number}, which is not for ${record.user}`);

    if (number >= record.seen.length) {
      const larger = new Uint8Array(Math.max(number + 1, record.seen.length * 2));
      larger.set(record.seen);
      record.seen = larger;
    }
    const before = record.seen[number];
    if (before > 0 && !redelivered) this.#violation("repeated", `${device} got message ${number} again`);
    if (redelivered) this.counts.redelivered++;
    if (before < 255) record.seen[number]++;
    this.counts.handled++;
    const last = record.lastSeq.get(entry.conv) ?? 0;
    if (entry.seq <= last && !redelivered) this.#violation("order", `${device} got ${entry.conv} ${entry.seq} after ${last}`);
    if (entry.seq > last) record.lastSeq.set(entry.conv, entry.seq);
  }

  /** The device is about to acknowledge everything it was handed up to these entries. */
  acknowledges(device, entries) {
    this.counts.acks++;
    const { acknowledged } = this.#users.get(this.#devices.get(device).user);
    for (const { kind, conv, seq } of entries) {
      if (kind === "message" || kind === "group") raise(acknowledged, conv, seq);
    }
  }

  /** The device is about to mark everything up to here as read; so the user has got it, too. */
  reads(device, { conv, seq }) {
    this.counts.reads++;
    const { acknowledged, read } = this.#users.get(this.#devices.get(device).user);
    raise(acknowledged, conv, seq);
    raise(read, conv, seq);
  }

  /** Who wrote this, or did it to the group; undefined as long as nobody has told. */
  #senderOf(conv, seq) {
    const number = this.#conversations.get(conv)?.[seq];
    return number === undefined ? this.#events.get(`${conv} ${seq}`) : this.#messages[number].sender;
  }

  /**
   * A horizon that was told lies no further than what its user's devices said (`sure`), and whatever
   * the user wrote right after that: whoever has seen everything before a message of their own has seen it too.
   */
  #checkHorizon(device, { conv, user, what, told, sure }) {
    for (let at = told; at > sure; at--) {
      const sender = this.#senderOf(conv, at);
      const text = `${device}: ${what} of ${user} in ${conv} up to ${told}, from their devices up to ${sure}`;
      if (sender === undefined) this.#doubts.set(`${conv} ${at} ${user} ${what}`, { conv, at, user, text });
      else if (sender !== user) return this.#violation("early-receipt", text);
    }
  }

  /** How far a group's devices can have got: the last message of this device's user, and who said so. */
  #checkCounts(device, { conv, seq, delivered, read, of }) {
    const { user } = this.#devices.get(device);
    const others = [...this.#users].filter(([name]) => name !== user).map(([, other]) => other);
    for (const [what, told, horizons] of [
      ["delivered", delivered, others.map((other) => other.acknowledged)],
      ["read", read, others.map((other) => other.read)],
    ]) {
      const sure = horizons.filter((horizon) => (horizon.get(conv) ?? 0) >= seq).length;
      if (told > sure) this.#violation("early-receipt", `${device}: ${conv} ${seq} ${what} ${told} times, by their devices ${sure}`);
    }
    const number = this.#conversations.get(conv)?.[seq];
    if (number === undefined) return; // accepted, but the reply is on its way
    const { sender, recipients } = this.#messages[number];
    if (sender !== user || of !== recipients.length) {
      this.#violation("early-receipt", `${device}: ${conv} ${seq} of ${sender} counts ${of}, went to ${recipients.length}`);
    }
  }

  receipt(device, { conv, user, delivered, read, seq, of }) {
    this.counts.receipts++;
    if (read > delivered) this.#violation("early-receipt", `${device}: ${conv} read ${read}, delivered ${delivered}`);
    if (user === undefined) return this.#checkCounts(device, { conv, seq, delivered, read, of });
    const member = this.#users.get(user.endpoint);
    if (member === undefined) return this.#violation("early-receipt", `${device} got a receipt of ${user.endpoint}`);
    const about = { conv, user: user.endpoint };
    this.#checkHorizon(device, { ...about, what: "delivered", told: delivered, sure: member.acknowledged.get(conv) ?? 0 });
    this.#checkHorizon(device, { ...about, what: "read", told: read, sure: member.read.get(conv) ?? 0 });
    const key = `${device} ${conv} ${user.endpoint}`;
    const own = this.#users.get(this.#devices.get(device).user).horizons;
    const before = own.get(key);
    const back = before !== undefined && (delivered < before.delivered || read < before.read);
    if (back && !this.#receiptsMayCross) {
      this.#violation("receipt-back", `${key}: ${before.delivered}/${before.read}, then ${delivered}/${read}`);
    }
    own.set(key, back ? { delivered: Math.max(delivered, before.delivered), read: Math.max(read, before.read) } : { delivered, read });
  }

  /** How many accepted messages some device of a recipient still lacks. */
  missing(report = () => {}) {
    let count = 0;
    for (let number = 0; number < this.#messages.length; number++) {
      const { sender, recipients, reply } = this.#messages[number];
      if (reply === null) continue;
      for (const user of new Set([...recipients, sender])) {
        for (const device of this.#users.get(user).devices) {
          if ((device.seen[number] ?? 0) > 0) continue;
          count++;
          report(`message ${number} (${reply.conv} ${reply.seq}) has not reached ${device.name}`);
        }
      }
    }
    return count;
  }

  /** After the last fault, when every device has caught up. */
  settle() {
    this.missing((text) => this.#violation("lost", text));
    // Everybody goes on trying until a message is accepted or refused.
    const open = this.counts.sent - this.counts.accepted - this.counts.refused;
    if (open > 0) this.#violation("unanswered", `${open} sends were neither accepted nor refused`);
    for (const { conv, at, user, text } of this.#doubts.values()) {
      if (this.#senderOf(conv, at) !== user) this.#violation("early-receipt", text);
    }
    this.#doubts.clear();
    return this.violations;
  }
}
