/**
 * The connection to the gateway: does what the connection machine (`state.ts`) says. It settles the device, opens
 * links, sets timers, asks the page for tickets, and keeps the session for the next reload.
 */
import { gatewayUrl, type Base } from "./address.js";
import type { Given } from "./credentials.js";
import type { Environment } from "./environment.js";
import { CountersignError, codeBadAnswer, codeDeviceInUse, codeNoSocket, codeWrongPerson, ticketFailure } from "./errors.js";
import type { Emitter } from "./events.js";
import { Timers, Turns } from "./hands.js";
import { Link, type Outcome } from "./link.js";
import type { Log } from "./log.js";
import type { MessageHub } from "./messages.js";
import type { ClientOptions } from "./options.js";
import type { Owner } from "./person_messages.js";
import { decodeConnect, decodeRefresh, numberIn, type Body } from "./protocol.js";
import type { SendCommand } from "./requests.js";
import { ConnectionMachine, handshakeLimitMs, probeLimitMs } from "./state.js";
import type { Action, Credential, Input, TimerName } from "./steps.js";
import type { TabSession } from "./tab_session.js";
import { describeIdentity, readTicket, sameIdentity } from "./ticket.js";
import { askForTicket } from "./ticket_source.js";
import type { ClientEvents, ConnectionInfo, ConnectionState, End, Session } from "./types.js";
import { version } from "./version.js";

const refreshLimitMs = 10_000;
const terminateLimitMs = 1_000;
const maxMalformedLogged = 3;

/** The client around the connection. */
export interface ConnectionHost {
  readonly environment: Environment;
  readonly base: Base;
  readonly options: ClientOptions;
  readonly log: Log;
  readonly tab: TabSession;
  readonly emitter: Emitter<ClientEvents>;
  /** `null` unless the page asked for messages. */
  readonly hub: MessageHub | null;
  /** The state has changed; to `disconnected` with an end, or because the page said so. */
  readonly changed: (state: ConnectionState, end: End | undefined) => void;
}

export class Connection {
  readonly #environment: Environment;
  readonly #base: Base;
  readonly #options: ClientOptions;
  readonly #log: Log;
  readonly #tab: TabSession;
  readonly #emitter: Emitter<ClientEvents>;
  readonly #hub: MessageHub | null;
  readonly #changed: ConnectionHost["changed"];
  readonly #machine: ConnectionMachine;

  readonly #turns = new Turns<Input>((input) => this.#take(input));
  readonly #timers = new Timers<TimerName>((name) => this.#dispatch({ type: "timer", name }));
  #link: Link | null = null;
  /** Grows with every start and stop: what was begun before belongs to nobody. */
  #run = 0;
  #info: ConnectionInfo | null = null;
  /** The server's clock minus `environment.now()`; `null` before the first connect. */
  #serverOffset: number | null = null;

  constructor({ environment, base, options, log, tab, emitter, hub, changed }: ConnectionHost) {
    this.#environment = environment;
    this.#base = base;
    this.#options = options;
    this.#log = log;
    this.#tab = tab;
    this.#emitter = emitter;
    this.#hub = hub;
    this.#changed = changed;
    this.#machine = new ConnectionMachine(options.getTicket !== undefined, environment.random);
  }

  get state(): ConnectionState {
    return this.#machine.state;
  }

  /** What the gateway said last; `null` while the connection is stopped. */
  get info(): ConnectionInfo | null {
    return this.#info;
  }

  /** Milliseconds since 1970 by the server's clock, as far as it is known. */
  get serverNow(): number {
    return this.#serverOffset === null ? Date.now() : this.#environment.now() + this.#serverOffset;
  }

  /** Sends a command if there is a connection; returns whether there is. */
  readonly send: SendCommand = (verb, body, timeoutMs, done) => {
    const link = this.state === "connected" ? this.#link : null;
    link?.command(verb, body, timeoutMs, done);
    return link !== null;
  };

  start(given: Given): void {
    if (given.kind === "ticket") this.#noteTicket(given.ticket);
    const run = ++this.#run;
    this.#dispatch({ type: "start" });
    void this.#prepare(given, run);
  }

  stop(): void {
    ++this.#run;
    this.#dispatch({ type: "stop" });
  }

  /** Ends it for good, for a reason that does not come from the gateway. */
  end(end: End): void {
    this.#dispatch({ type: "end", end });
  }

  wake(): void {
    this.#dispatch({ type: "wake" });
  }

  park(): void {
    this.#dispatch({ type: "park" });
  }

  /** Ends the instance at the gateway. The command leaves at once; settles with its answer, after a second at most. */
  terminate(): Promise<void> {
    const link = this.state === "connected" ? this.#link : null;
    if (link === null) return Promise.resolve();
    this.#link = null;
    return new Promise((done) => link.closeAfter("terminate", terminateLimitMs, done));
  }

  // Preparing.

  /** Settles the device, then tells the machine which credential to begin with. */
  async #prepare(given: Given, run: number): Promise<void> {
    const resume = given.kind === "session" ? given.session : given.kind === "nothing" ? this.#tab.current : null;
    const device = await this.#tab.settleDevice(resume?.device);
    if (run !== this.#run) return;
    if (given.kind === "ticket") {
      this.#prepared({ kind: "ticket", ticket: given.ticket }, false);
    } else if (resume === null) {
      this.#prepared(this.#tab.restore(), true);
    } else if (resume.device === device) {
      this.#tab.use(resume);
      this.#prepared(resume, given.kind === "session");
    } else {
      this.#onSessionInUse();
    }
  }

  /** Settles the device that was let go with the page, which another page may have become meanwhile. */
  async #prepareAgain(credential: Credential | null, run: number): Promise<void> {
    const before = this.#tab.device;
    const device = await this.#tab.settleDevice(before);
    if (run !== this.#run) return;
    if (device === before || credential?.kind !== "instance") {
      this.#dispatch({ type: "prepared", credential, restored: true });
    } else {
      this.#onSessionInUse();
    }
  }

  /** Another tab lives with the session that was given: taking it up would only push that tab out. */
  #onSessionInUse(): void {
    if (this.#options.getTicket === undefined) {
      const { code, message } = new CountersignError(codeDeviceInUse);
      this.#dispatch({ type: "end", end: { kind: "refused", code, reason: message } });
      return;
    }
    this.#log.write("info", "The session is in use by another tab: this tab becomes a device of its own");
    this.#prepared(null, false);
  }

  #prepared(from: Session | Credential | null, restored: boolean): void {
    let credential: Credential | null = null;
    if (from !== null && "kind" in from) {
      credential = from;
    } else if (from !== null) {
      const { instance, secret, identity } = from;
      this.#log.hide(secret);
      this.#log.write("info", `Taking up instance ${instance} of ${describeIdentity(identity)}`);
      credential = { kind: "instance", instance, secret };
    }
    this.#dispatch({ type: "prepared", credential, restored });
  }

  // The machine's hands.

  #dispatch(input: Input): void {
    this.#turns.push(input);
  }

  #take(input: Input): void {
    for (const action of this.#machine.step(input, this.#environment.now())) this.#perform(action);
  }

  #perform(action: Action): void {
    switch (action.do) {
      case "open":
        this.#open(action.credential);
        break;
      case "drop":
        this.#link?.close(action.code);
        this.#loseLink();
        break;
      case "park":
        this.#tab.release();
        this.#hub?.parked();
        break;
      case "prepare":
        void this.#prepareAgain(action.credential, this.#run);
        break;
      case "getTicket":
        void this.#getTicket(this.#run);
        break;
      case "refresh":
        this.#link?.command("refresh", { userTicket: action.ticket }, refreshLimitMs, (outcome) =>
          this.#onRefreshReply(outcome),
        );
        break;
      case "probe":
        // Whatever arrives is answer enough; the machine watches for it.
        this.#link?.command("ping", {}, probeLimitMs, () => undefined);
        break;
      case "startTimer":
        this.#timers.start(action.name, action.ms);
        break;
      case "stopTimer":
        this.#timers.stop(action.name);
        break;
      case "state":
        this.#onState(action.state, action.end);
        break;
      case "ended":
        this.#emitter.emit("ended", action.end);
        if (action.end.kind === "expired") this.#emitter.emit("expired", action.end);
        if (action.end.kind === "signed_out") this.#emitter.emit("signedOut", action.end);
        break;
      case "error":
        this.#emitter.emit("error", action.error);
        break;
      case "log":
        this.#log.write(action.level, action.message);
        break;
    }
  }

  #open(credential: Credential): void {
    let malformed = 0;
    const url = gatewayUrl(this.#base);
    this.#log.write("debug", `Connecting to ${url}`);
    try {
      const link: Link = new Link(this.#environment.openTransport, url, {
        opened: () => void this.#sayConnect(link, credential),
        traffic: () => this.#dispatch({ type: "traffic" }),
        push: (name, body) => this.#onPush(name, body),
        malformed: () => {
          if (++malformed <= maxMalformedLogged) this.#log.write("warn", "Ignored a frame that is not of the protocol");
        },
        closed: (code) => {
          this.#loseLink();
          this.#dispatch({ type: "closed", code });
        },
      });
      this.#link = link;
    } catch (thrown) {
      const { code, message } = new CountersignError(codeNoSocket);
      const why = thrown instanceof Error ? ` (${thrown.name})` : "";
      this.#dispatch({ type: "end", end: { kind: "refused", code, reason: `${message}${why}` } });
    }
  }

  #loseLink(): void {
    this.#link = null;
    this.#hub?.disconnected();
  }

  async #sayConnect(link: Link, credential: Credential): Promise<void> {
    const owner = this.#owner();
    const place = this.#hub === null || owner === null ? null : await this.#hub.prepare(owner);
    if (place !== null && this.#link !== link) return;
    link.command("connect", { ...this.#connectBody(credential), ...place }, handshakeLimitMs, (outcome) =>
      this.#onConnectReply(link, credential, outcome),
    );
  }

  /** Whose messages these are; `null` before anybody is known. */
  #owner(): Owner | null {
    const { applicationKey, identity } = this.#tab.person;
    if (applicationKey === undefined || identity === undefined) return null;
    return { gateway: this.#base, applicationKey, identity, device: this.#tab.device };
  }

  #connectBody(credential: Credential): Body {
    const proof =
      credential.kind === "ticket"
        ? { userTicket: credential.ticket }
        : { instance: credential.instance, secret: credential.secret };
    return {
      ...proof,
      device: this.#tab.device,
      caps: this.#options.capabilities ?? [],
      client: { name: "countersign-js", version },
    };
  }

  // What the gateway says.

  #onConnectReply(link: Link, credential: Credential, outcome: Outcome): void {
    if (!outcome.ok) {
      this.#dispatch({ type: "refused", error: outcome.error });
      return;
    }
    const reply = decodeConnect(outcome.body);
    const made =
      reply !== null && reply.instance !== null && reply.secret !== null
        ? { instance: reply.instance, secret: reply.secret }
        : credential.kind === "instance"
          ? credential
          : null;
    const identity = this.#tab.person.identity;
    const user = reply?.user ?? identity;
    const forUs = user !== undefined && identity !== undefined && sameIdentity(user, identity);
    if (reply === null || made === null || !forUs) {
      this.#dispatch({ type: "refused", error: new CountersignError(codeBadAnswer) });
      return;
    }

    const serverTime = reply.serverTime ?? Date.now();
    this.#serverOffset = serverTime - this.#environment.now();
    const expiresAt = reply.instanceExpiresAt;
    const resumed = credential.kind === "instance";
    link.answersPings = reply.pong;
    this.#log.hide(made.secret);
    this.#info = {
      connection: reply.connection,
      node: reply.node,
      user,
      device: reply.device ?? this.#tab.device,
      expiresAt: new Date(expiresAt ?? Number.NaN),
      clockOffsetMs: serverTime - Date.now(),
      resumed,
      limits: reply.limits,
    };
    this.#tab.keep(made.instance, made.secret, expiresAt);
    this.#log.write("info", reply.node === "" ? "Connected to gateway" : `Connected to gateway, node ${reply.node}`);
    this.#log.write("info", `Instance ${made.instance} ${resumed ? "resumed" : "ready"}${until(expiresAt)}`);
    this.#dispatch({
      type: "connected",
      credential: { kind: "instance", instance: made.instance, secret: made.secret },
      expiresInMs: expiresAt === null ? null : expiresAt - serverTime,
      pingIntervalMs: reply.pingIntervalMs,
    });
    if (this.#link === link) this.#hub?.connected(reply.inbox);
  }

  #onRefreshReply(outcome: Outcome): void {
    if (!outcome.ok) {
      this.#dispatch({ type: "refreshFailed", error: outcome.error });
      return;
    }
    const expiresAt = decodeRefresh(outcome.body);
    this.#log.write("info", `Ticket refreshed${until(expiresAt)}`);
    const expiresInMs = expiresAt === null ? null : expiresAt - (this.#environment.now() + (this.#serverOffset ?? 0));
    this.#dispatch({ type: "refreshed", expiresInMs });
    const session = this.#tab.current;
    if (expiresAt === null || this.#info === null || session === null) return;
    this.#info = { ...this.#info, expiresAt: new Date(expiresAt) };
    this.#tab.keep(session.instance, session.secret, expiresAt);
    this.#emitter.emit("refreshed", { expiresAt: new Date(expiresAt) });
  }

  #onPush(name: string, body: Body): void {
    if (name === "expiring") {
      const inMs = numberIn(body, "in_ms");
      if (inMs !== undefined) this.#dispatch({ type: "expiring", inMs });
    } else if (name === "bye") {
      const retryAfterMs = numberIn(body, "retry_after_ms");
      this.#dispatch({ type: "bye", code: numberIn(body, "code") ?? 0, retryAfterMs });
    } else {
      // Kinds this version does not know are nobody's business.
      this.#hub?.push(name, body);
    }
  }

  // Tickets.

  async #getTicket(run: number): Promise<void> {
    this.#log.write("debug", "Asking for a ticket");
    try {
      const ticket = await askForTicket(this.#options.getTicket ?? (() => null));
      if (run !== this.#run) return;
      this.#tab.acceptTicket(ticket);
      this.#noteTicket(ticket);
      this.#dispatch({ type: "ticket", ticket });
    } catch (thrown) {
      if (run === this.#run) this.#onTicketError(ticketFailure(thrown));
    }
  }

  #noteTicket(ticket: string): void {
    this.#log.hide(ticket);
    const { identity, expiresAt } = readTicket(ticket);
    this.#log.write("info", `Ticket for ${describeIdentity(identity)}${until(expiresAt?.getTime() ?? null)}`);
  }

  #onTicketError(error: CountersignError): void {
    if (error.code === codeWrongPerson) {
      // The browser's sign-in has passed to somebody else; this page still shows the one before.
      const reason = "Another person is signed in now: load the page again.";
      this.#emitter.emit("error", error);
      this.#dispatch({ type: "end", end: { kind: "signed_out", code: error.code, reason } });
      return;
    }
    this.#dispatch({ type: "ticketFailed", error });
  }

  #onState(state: ConnectionState, end: End | undefined): void {
    if (state === "disconnected") {
      ++this.#run;
      this.#info = null;
    }
    this.#changed(state, end);
  }
}

function until(time: number | null): string {
  return time === null ? "" : `, valid until ${new Date(time).toISOString()}`;
}
