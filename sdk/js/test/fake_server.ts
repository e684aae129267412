/**
 * A gateway in the test's own process, on fake time. It keeps instances as the real one does: made from a
 * ticket, proved by a secret, ended with the ticket, revocable. Tests push, cut and refuse through it.
 */
import { readTicket, type TicketClaims } from "../src/ticket.js";
import type { Transport, TransportEvents } from "../src/transport.js";
import type { Identity } from "../src/types.js";
import { FakeMessages } from "./fake_messages.js";

export interface Json {
  readonly [name: string]: unknown;
}

export interface Refusal {
  readonly code: number;
  readonly temporary?: boolean;
  readonly retry_after_ms?: number;
  readonly message?: string;
  /** The close code that follows. */
  readonly close?: number;
}

interface Instance {
  readonly id: string;
  readonly secret: string;
  readonly identity: Identity;
  readonly device: string;
  readonly session: string | undefined;
  expiresAt: number;
  ended: "no" | "terminated" | "revoked";
}

export const latencyMs = 5;
export const expiryGraceMs = 25_000;

/** One connection, seen from the server. */
export class FakeConnection {
  readonly commands: Json[] = [];
  /** Answers to pings. */
  pongs = 0;
  closedWith: number | null = null;
  instance: Instance | null = null;
  #pinger: ReturnType<typeof setInterval> | undefined;
  #ends: ReturnType<typeof setTimeout>[] = [];

  constructor(
    readonly server: FakeServer,
    readonly url: string,
    readonly events: TransportEvents,
  ) {}

  get open(): boolean {
    return this.closedWith === null;
  }

  /** The bodies of all commands of one verb. */
  sent(verb: string): Json[] {
    return this.commands.filter((command) => verb in command).map((command) => command[verb] as Json);
  }

  send(...messages: unknown[]): void {
    this.raw(messages.map((message) => JSON.stringify(message)).join("\n"));
  }

  raw(frame: string): void {
    if (this.open && !this.server.frozen) this.events.frame(frame);
  }

  push(kind: string, body: Json): void {
    this.send({ push: { [kind]: body } });
  }

  /** Ends the connection from the server's side. */
  close(code: number): void {
    if (!this.open) return;
    this.finish(code);
    this.events.closed(code);
  }

  finish(code: number): void {
    this.closedWith = code;
    clearInterval(this.#pinger);
    this.#ends.forEach(clearTimeout);
  }

  receive(frame: string): void {
    for (const line of frame.split("\n")) {
      const command = JSON.parse(line) as Json;
      if (Object.keys(command).length === 0) {
        ++this.pongs;
        continue;
      }
      this.commands.push(command);
      setTimeout(() => {
        if (this.open && !this.server.frozen) this.#answer(command);
      }, latencyMs);
    }
  }

  #answer(command: Json): void {
    const { id } = command;
    const refusal = this.server.takeRefusal(command);
    if (refusal !== undefined) {
      this.#refuse(id, refusal);
    } else if ("connect" in command) {
      this.#connect(id, command["connect"] as Json);
    } else if ("refresh" in command) {
      this.#refresh(id, command["refresh"] as Json);
    } else if ("ping" in command) {
      this.send({ id, ping: {} });
    } else if ("terminate" in command) {
      if (this.instance !== null) this.instance.ended = "terminated";
      this.send({ id, terminate: {} });
      this.close(1000);
    } else {
      this.#message(id, command);
    }
  }

  #message(id: unknown, command: Json): void {
    const answer = this.server.messages.answer(this, command);
    const [verb = ""] = Object.keys(command).filter((name) => name !== "id");
    if (answer === null) this.#refuse(id, { code: 104 });
    else if (typeof (answer as Partial<Refusal>).code === "number") this.#refuse(id, answer as Refusal);
    else this.send({ id, [verb]: answer });
  }

  #refuse(id: unknown, { close, ...error }: Refusal): void {
    this.send({ id, error: { message: `refused with ${error.code}`, temporary: false, ...error } });
    if (close !== undefined) this.close(close);
  }

  #connect(id: unknown, body: Json): void {
    const made = typeof body["userTicket"] === "string";
    const found = made ? this.server.makeInstance(body) : this.server.findInstance(body);
    if (typeof found === "number") {
      if (found >= 4000) this.close(found);
      else this.#refuse(id, { code: found, close: 4500 });
      return;
    }
    this.instance = found;
    this.server.replaceOlder(this, found.device);
    const { pingIntervalMs } = this.server;
    this.send({
      id,
      connect: {
        connection: `c${this.server.connections.length}`,
        node: "n1",
        user: found.identity,
        device: found.device,
        server_time: new Date(this.server.now()).toISOString(),
        instance_expires_at: new Date(found.expiresAt).toISOString(),
        ping: { interval: pingIntervalMs, pong: true },
        limits: { max_frame_bytes: 65536 },
        ...(made ? { instance: found.id, secret: found.secret } : {}),
        ...this.server.messages.connect(this, found.identity, found.device, body),
        ...this.server.extraInConnect,
      },
    });
    this.server.messages.begin(this);
    this.#pinger = setInterval(() => this.raw("{}"), pingIntervalMs);
    this.#watchExpiry(found);
  }

  #refresh(id: unknown, body: Json): void {
    const claims = this.server.verify(String(body["userTicket"]));
    const { instance } = this;
    if (typeof claims === "number" || instance === null) {
      this.#refuse(id, { code: typeof claims === "number" ? claims : 105 });
      return;
    }
    instance.expiresAt = claims.expiresAt?.getTime() ?? 0;
    this.send({ id, refresh: { instance_expires_at: new Date(instance.expiresAt).toISOString() } });
    this.#watchExpiry(instance);
  }

  /** `expiring` at 80 % and 60 s before the end; 25 s of grace; then 4105. */
  #watchExpiry(instance: Instance): void {
    this.#ends.forEach(clearTimeout);
    const left = instance.expiresAt - this.server.now();
    const remind = (inMs: number) => () => this.push("expiring", { in_ms: inMs });
    this.#ends = [later(() => this.close(4105), left + expiryGraceMs)];
    if (!this.server.reminds) return;
    this.#ends.push(later(remind(left * 0.2), left * 0.8));
    if (left > 60_000) this.#ends.push(later(remind(60_000), left - 60_000));
  }
}

export class FakeServer {
  readonly connections: FakeConnection[] = [];
  readonly instances = new Map<string, Instance>();
  readonly revokedSessions = new Set<string>();
  readonly messages = new FakeMessages(this);
  /** Nobody answers: every connection breaks before it opens. */
  down = false;
  /** Sockets stay open, but nothing comes through: a dead network path. */
  frozen = false;
  /** Whether `expiring` is pushed. */
  reminds = true;
  pingIntervalMs = 25_000;
  /** The server's clock minus the client's. */
  clockOffsetMs = 0;
  extraInConnect: Json = {};
  #refusals: { readonly verb: string; readonly refusal: Refusal }[] = [];
  #minted = 0;

  now(): number {
    return Date.now() + this.clockOffsetMs;
  }

  readonly openTransport = (url: string, events: TransportEvents): Transport => {
    const connection = new FakeConnection(this, url, events);
    this.connections.push(connection);
    const down = this.down;
    setTimeout(() => {
      if (down) connection.close(1006);
      else if (connection.open) events.opened();
    }, latencyMs);
    return {
      send: (frame) => {
        if (connection.open) connection.receive(frame);
      },
      close: (code) => {
        if (connection.open) connection.finish(code);
      },
    };
  };

  /** The connection opened last. */
  get last(): FakeConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error("nobody has connected");
    return connection;
  }

  get live(): FakeConnection[] {
    return this.connections.filter((connection) => connection.open && connection.instance !== null);
  }

  /** A ticket this server accepts. No two are the same text. */
  mint(claims: TicketFields = {}): string {
    return makeTicket({ created: new Date(this.now()), nonce: ++this.#minted, ...claims });
  }

  /** Refuses the next command of this verb. */
  refuseNext(verb: string, refusal: Refusal): void {
    this.#refusals.push({ verb, refusal });
  }

  takeRefusal(command: Json): Refusal | undefined {
    const index = this.#refusals.findIndex(({ verb }) => verb in command);
    return index < 0 ? undefined : this.#refusals.splice(index, 1)[0]?.refusal;
  }

  /** The process dies and is back: connections are gone, instances are not. */
  crash(): void {
    for (const connection of [...this.connections]) connection.close(1006);
  }

  /** A sign-in session ends: its tickets are worthless, its instances are closed. */
  revoke(session: string): void {
    this.revokedSessions.add(session);
    for (const instance of this.instances.values()) {
      if (instance.session === session) instance.ended = "revoked";
    }
    for (const connection of this.live) {
      if (connection.instance?.session === session) connection.close(4503);
    }
  }

  /** The claims, or the error code on the wire. */
  verify(ticket: string): TicketClaims | number {
    const claims = readTicket(ticket);
    if (!ticket.endsWith(goodMac)) return 101;
    if (claims.session !== undefined && this.revokedSessions.has(claims.session)) return 101;
    return (claims.expiresAt?.getTime() ?? 0) <= this.now() ? 109 : claims;
  }

  makeInstance(body: Json): Instance | number {
    const claims = this.verify(String(body["userTicket"]));
    if (typeof claims === "number") return claims;
    const number = this.instances.size + 1;
    const instance: Instance = {
      id: `instance-${number}`,
      secret: `secret-of-instance-${number}`,
      identity: claims.identity,
      device: String(body["device"]),
      session: claims.session,
      expiresAt: claims.expiresAt?.getTime() ?? 0,
      ended: "no",
    };
    this.instances.set(instance.id, instance);
    return instance;
  }

  findInstance(body: Json): Instance | number {
    const instance = this.instances.get(String(body["instance"]));
    if (instance === undefined || instance.secret !== body["secret"] || instance.ended === "terminated") return 101;
    if (instance.ended === "revoked") return 4503;
    return instance.expiresAt <= this.now() ? 110 : instance;
  }

  /** One connection per device: the older one is told that it was replaced. */
  replaceOlder(newer: FakeConnection, device: string): void {
    for (const connection of this.live) {
      if (connection !== newer && connection.instance?.device === device) connection.close(4508);
    }
  }
}

/** A timer within the 31 bits that timers have. */
function later(act: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(act, Math.min(ms, 2 ** 31 - 1));
}

export const applicationKey = "a32e5a8d-f7d8-411c-9645-9038e8dd051d";
export const alice: Identity = { type: "username", endpoint: "alice" };
export const bob: Identity = { type: "username", endpoint: "bob" };
const goodMac = "TUFDIG9mIDMyIGJ5dGVzLCBvZiBmYWtlIHNlcnZlcnM=";
export const badMac = "Tk9UIGEgTUFDIG9mIHRoZSByaWdodCBrZXksIHNvcnJ5ISE=";

export interface TicketFields {
  readonly identity?: Identity;
  readonly applicationKey?: string;
  readonly created?: Date;
  readonly expiresIn?: number;
  readonly session?: string;
  readonly nonce?: number;
  readonly mac?: string;
}

export function makeTicket(fields: TicketFields = {}): string {
  const payload = {
    identity: fields.identity ?? alice,
    expiresIn: fields.expiresIn ?? 3600,
    applicationKey: fields.applicationKey ?? applicationKey,
    created: (fields.created ?? new Date()).toISOString(),
    ...(fields.session === undefined ? {} : { session: fields.session }),
    ...(fields.nonce === undefined ? {} : { nonce: fields.nonce }),
  };
  return `${Buffer.from(JSON.stringify(payload), "utf8").toString("base64")}:${fields.mac ?? goodMac}`;
}
