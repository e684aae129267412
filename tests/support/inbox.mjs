// A device that follows its inbox: it checks that entries come without a hole, keeps them, and says
// what it has handled.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { mint } from "./tickets.mjs";
import { Arrivals } from "./waiting.mjs";
import { Gateway } from "./websocket.mjs";

export const user = (name) => ({ type: "username", endpoint: name });
export const messageId = () => crypto.randomUUID();

/** A ticket for anybody, as a team's own server mints it. */
export function ticketFor(server, name) {
  return mint({ key: server.applicationKey, secret: server.applicationSecret, username: name });
}

export class Device {
  /**
   * @param acknowledges  whether it acknowledges every entry by itself.
   * @param resume        where it stands; undefined: it has no note.
   */
  static async connect(server, name, { device = "device-1", acknowledges = true, resume, ticket } = {}) {
    const self = new Device();
    self.server = server;
    self.name = name;
    self.device = device;
    self.acknowledges = acknowledges;
    self.gateway = await Gateway.connect(server, ticket ?? ticketFor(server, name), {
      device,
      more: { caps: ["messaging"], ...(resume ? { resume } : {}) },
    });
    self.#begin(self.gateway.hello.inbox);
    self.gateway.objects.all.forEach((object) => self.#take(object));
    const add = self.gateway.objects.add.bind(self.gateway.objects);
    self.gateway.objects.add = (object) => {
      self.#take(object);
      add(object);
    };
    return self;
  }

  /** All entries, in order; those that come again too. */
  entries = new Arrivals();
  resets = [];

  #begin({ epoch, from, from_chain: chain }) {
    this.position = { epoch, offset: from, chain };
  }

  #take({ push }) {
    if (push?.reset) {
      this.resets.push(push.reset);
      this.#begin(push.reset);
    }
    if (!push?.inbox) return;
    for (const entry of push.inbox.entries) {
      assert.equal(push.inbox.epoch, this.position.epoch);
      assert.equal(entry.offset, this.position.offset + 1, `${this.name}: the entry follows`);
      this.position = { epoch: push.inbox.epoch, offset: entry.offset, chain: entry.chain };
      this.entries.add(entry);
    }
    if (this.acknowledges) this.ack().catch(() => {}); // it may be cut off meanwhile
  }

  get inbox() {
    return this.gateway.hello.inbox;
  }

  ack(offset = this.position.offset, epoch = this.position.epoch) {
    return this.gateway.command("ack", { epoch, offset });
  }

  /** Sends, and gives the whole reply. */
  send(to, text, more = {}) {
    const target = typeof to === "string" ? { to: [user(to)] } : to;
    return this.gateway.command("send", { msg_id: messageId(), ...target, text, ...more });
  }

  /** Sends, and fails unless it was accepted. */
  async sent(to, text, more) {
    const reply = await this.send(to, text, more);
    assert.ok(reply.send, `send was refused: ${JSON.stringify(reply)}`);
    return reply.send;
  }

  /** The first entry with this text. */
  message(text, options) {
    return this.entries.first((entry) => entry.text === text, `the message ${text}`, options);
  }

  texts() {
    return this.entries.all.map((entry) => entry.text).filter((text) => text !== undefined);
  }

  drop() {
    this.gateway.socket.drop();
    return this.gateway.closed;
  }

  /** Comes back after a drop, showing its note. */
  again(server = this.server) {
    return Device.connect(server, this.name, {
      device: this.device,
      acknowledges: this.acknowledges,
      resume: this.position,
    });
  }
}
