/**
 * The modern client: keeps one signed-in connection to a gateway.
 *
 * It does what the connection machine (`state.ts`) says: opens links, sets timers, asks the page for
 * tickets, keeps the session for the next reload, and tells the page what happens.
 */
import { gatewayUrl, serverBase, type Base } from "./address.js";
import { readCredentials, type Given } from "./credentials.js";
import { browserEnvironment, type Environment } from "./environment.js";
import {
  CountersignError,
  closeRevoked,
  codeBadAnswer,
  codeBadState,
  codeDeviceInUse,
  codeNoSocket,
  codeNotAvailable,
  codeTerminated,
  codeUnsent,
  codeWrongPerson,
  ticketFailure,
} from "./errors.js";
import { Emitter, type Listener } from "./events.js";
import { Link, type Outcome } from "./link.js";
import type { Messages } from "./message_types.js";
import { MessageHub } from "./messages.js";
import { Log, reportListenerFailure, type LogEntry } from "./log.js";
import type { ClientOptions, Credentials, SignOutOptions } from "./options.js";
import type { Owner } from "./person_messages.js";
import { decodeConnect, decodeRefresh, numberIn, type Body } from "./protocol.js";
import { SignOutChannel } from "./sign_out_channel.js";
import { ConnectionMachine, handshakeLimitMs, probeLimitMs } from "./state.js";
import type { Action, Credential, Input, TimerName } from "./steps.js";
import { TabSession } from "./tab_session.js";
import { describeIdentity, readTicket, sameIdentity } from "./ticket.js";
import { askForTicket } from "./ticket_source.js";
import type { ClientEvents, ConnectionInfo, ConnectionState, End, Session } from "./types.js";
import { version } from "./version.js";

const refreshLimitMs = 10_000;
const terminateLimitMs = 1_000;
const maxMalformedLogged = 3;

interface Deferred {
  readonly promise: Promise<ConnectionInfo>;
  resolve(info: ConnectionInfo): void;
  reject(error: CountersignError): void;
}

/** For the SDK only: what is behind `client.messages`. */
export let hubOf: (client: Client) => MessageHub | null;

export class Client {
  readonly #options: ClientOptions;
  readonly #base: Base;
  readonly #environment: Environment;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #log: Log;
  readonly #machine: ConnectionMachine;
  readonly #channel: SignOutChannel;
  readonly #tab: TabSession;
  /** `null` unless the page asked for messages. */
  readonly #hub: MessageHub | null;

  readonly #inputs: Input[] = [];
  #dispatching = false;
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  #link: Link | null = null;
  #stopWatching: (() => void) | null = null;

  /** Grows with every start and stop: what was begun before belongs to nobody. */
  #run = 0;
  /** The promise of `connect()`; `null` while the client is stopped. */
  #ready: Deferred | null = null;
  #lastState: ConnectionState = "disconnected";
  #connection: ConnectionInfo | null = null;
  /** The server's clock minus `environment.now()`; `null` before the first connect. */
  #serverOffset: number | null = null;

  static {
    hubOf = (client) => client.#hub;
  }

  /**
   * @param url  where the server is, for instance `https://example.org`; when absent, where the script
   *   came from.
   */
  constructor(url: string | URL | null | undefined, options: ClientOptions = {}) {
    this.#options = options;
    this.#environment = { ...browserEnvironment(), ...options.environment };
    this.#base = serverBase(url, this.#environment.pageOrigin);
    this.#log = new Log((entry) => this.#publishLog(entry), "client");
    this.#machine = new ConnectionMachine(options.getTicket !== undefined, this.#environment.random);
    this.#channel = new SignOutChannel(this.#environment);
    this.#tab = new TabSession(this.#environment, this.#base, {
      person: { applicationKey: options.applicationKey, identity: options.identity },
      device: options.device,
      resume: options.resume !== false,
    });
    this.#hub = options.capabilities?.includes("messaging") ? this.#makeHub() : null;
  }

  get state(): ConnectionState {
    return this.#machine.state;
  }

  /** What the gateway said about the live connection; `null` while there is none. */
  get info(): ConnectionInfo | null {
    return this.state === "connected" ? this.#connection : null;
  }

  /**
   * Messages, conversations, presence.
   * @throws CountersignError 108 when option `capabilities` does not name `messaging`.
   */
  get messages(): Messages {
    if (this.#hub === null) {
      throw new CountersignError(codeNotAvailable, 'Messages were not asked for: option capabilities: ["messaging"].');
    }
    return this.#hub;
  }

  /** Messages of this person that wait in this browser, failed ones included. */
  get unsentCount(): number {
    return this.#hub?.unsentCount ?? 0;
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }

  off<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): void {
    this.#emitter.off(name, listener);
  }

  /**
   * Connects and stays connected until `disconnect`, `terminate` or an end.
   *
   * Without credentials the client takes up its own session, or the one this tab had before a reload,
   * or asks `getTicket`.
   * @return settles with the first connection, or rejects when the client stops before it; trouble with
   *   the network does neither, because the client keeps trying.
   */
  connect(credentials?: Credentials): Promise<ConnectionInfo> {
    if (this.#ready !== null) {
      return credentials === undefined
        ? this.#ready.promise
        : Promise.reject(new CountersignError(codeBadState, "The client is connected or connecting already."));
    }
    let given: Given;
    try {
      given = readCredentials(credentials);
      this.#tab.adopt(given);
    } catch (thrown) {
      return Promise.reject(ticketFailure(thrown));
    }
    if (given.kind === "ticket") this.#noteTicket(given.ticket);
    const run = ++this.#run;
    this.#ready = makeDeferred();
    const { promise } = this.#ready;
    this.#stopWatching = this.#environment.watchPage({
      wake: () => this.#dispatch({ type: "wake" }),
      park: () => this.#dispatch({ type: "park" }),
    });
    this.#channel.open(
      () => this.#tab.person,
      () => this.#dispatch({ type: "end", end: signedOutElsewhere }),
    );
    this.#dispatch({ type: "start" });
    void this.#prepare(given, run);
    return promise;
  }

  /** Closes the connection. The instance lives on: `connect()` takes it up again. */
  disconnect(): void {
    ++this.#run;
    this.#dispatch({ type: "stop" });
  }

  /**
   * Ends the instance at the gateway, forgets the session and closes. May be called at any time and
   * more than once; settles when the gateway has answered, after one second at most.
   */
  async terminate(): Promise<void> {
    const link = this.state === "connected" ? this.#link : null;
    if (link !== null) this.#link = null;
    // The command leaves before this function first waits: a page that navigates away now still sends it.
    const farewell = new Promise<void>((done) => {
      if (link === null) done();
      else link.closeAfter("terminate", terminateLimitMs, done);
    });
    this.disconnect();
    this.#hub?.terminated();
    await this.#tab.leave();
    await farewell;
  }

  /**
   * Tells the other tabs of this browser that the person signs out, then terminates. Their messages are removed
   * from this browser; while some are unsent nothing happens unless the page says that they may go.
   * @throws CountersignError 910 while messages are unsent; `messages` tells how many with `unsent`.
   */
  async signOut({ discardUnsent = false }: SignOutOptions = {}): Promise<void> {
    const count = this.unsentCount;
    if (count > 0 && !discardUnsent) {
      this.#hub?.warnUnsent();
      const text = count === 1 ? "A message is" : `${count} messages are`;
      throw new CountersignError(codeUnsent, `${text} still waiting to be sent.`);
    }
    if (this.#tab.person.identity !== undefined) this.#channel.announce(this.#tab.person);
    const wiped = this.#hub?.wipe();
    await this.terminate();
    await wiped;
  }

  /** What `connect()` needs to come back as the same instance, or `null`. A credential: keep it safe. */
  getSession(): Session | null {
    return this.#tab.current;
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

  /** Feeds the machine. Inputs that arise while its actions run wait their turn. */
  #dispatch(input: Input): void {
    this.#inputs.push(input);
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        for (const action of this.#machine.step(next, this.#environment.now())) this.#perform(action);
      }
    } finally {
      this.#dispatching = false;
    }
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
        this.#startTimer(action.name, action.ms);
        break;
      case "stopTimer":
        clearTimeout(this.#timers.get(action.name));
        this.#timers.delete(action.name);
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

  #startTimer(name: TimerName, ms: number): void {
    clearTimeout(this.#timers.get(name));
    const handle = setTimeout(() => {
      this.#timers.delete(name);
      this.#dispatch({ type: "timer", name });
    }, ms);
    this.#timers.set(name, handle);
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

  #makeHub(): MessageHub {
    return new MessageHub({
      environment: this.#environment,
      log: this.#log,
      send: (verb, body, timeoutMs, done) => {
        const link = this.state === "connected" ? this.#link : null;
        link?.command(verb, body, timeoutMs, done);
        return link !== null;
      },
      serverNow: () => (this.#serverOffset === null ? Date.now() : this.#environment.now() + this.#serverOffset),
      running: () => this.#ready !== null,
    });
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
    this.#connection = {
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
    if (expiresAt === null || this.#connection === null || session === null) return;
    this.#connection = { ...this.#connection, expiresAt: new Date(expiresAt) };
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

  // What the page hears.

  #onState(state: ConnectionState, end: End | undefined): void {
    const previous = this.#lastState;
    this.#lastState = state;
    if (state === "disconnected") this.#cleanUp(end);
    this.#emitter.emit("state", end === undefined ? { state, previous } : { state, previous, end });
    if (state === "connected" && this.#connection !== null) this.#ready?.resolve(this.#connection);
  }

  /** Done before the page hears of the stop, so that it may connect again from its listener. */
  #cleanUp(end: End | undefined): void {
    ++this.#run;
    this.#stopWatching?.();
    this.#stopWatching = null;
    this.#channel.close();
    this.#connection = null;
    this.#hub?.stopped();
    this.#ready?.reject(
      end === undefined
        ? new CountersignError(codeTerminated, "The client was stopped.")
        : new CountersignError(end.code, end.reason, { temporary: false }),
    );
    this.#ready = null;
    if (end?.kind === "replaced") this.#tab.abandonDevice();
    else this.#tab.release();
    if (end === undefined) return;
    if (end.kind !== "refused" || credentialFaults.has(end.code)) this.#tab.forget();
  }

  #publishLog(entry: LogEntry): void {
    this.#emitter.emit("log", entry);
    try {
      this.#options.onLogMessage?.(entry);
    } catch (thrown) {
      reportListenerFailure(thrown);
    }
  }
}

/** Ends after which the stored session is worthless. */
const credentialFaults: ReadonlySet<number> = new Set([101, 109, 110, 601, 4500, 4503]);

const signedOutElsewhere: End = {
  kind: "signed_out",
  code: closeRevoked,
  reason: "Signed out in another tab: sign in again.",
};

function until(time: number | null): string {
  return time === null ? "" : `, valid until ${new Date(time).toISOString()}`;
}

function makeDeferred(): Deferred {
  let resolve: (info: ConnectionInfo) => void = () => undefined;
  let reject: (error: CountersignError) => void = () => undefined;
  const promise = new Promise<ConnectionInfo>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever does not look at the promise learns of the end through the events.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
