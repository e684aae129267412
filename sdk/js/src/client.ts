/**
 * The modern client: keeps one signed-in connection to a gateway, and tells the page what happens. What the
 * connection itself does is in `connection.ts`, and when it does it in `state.ts`.
 */
import { serverBase, type Base } from "./address.js";
import { Connection } from "./connection.js";
import { readCredentials, type Given } from "./credentials.js";
import { browserEnvironment, type Environment } from "./environment.js";
import { CountersignError, closeRevoked, codeBadState, codeNotAvailable, codeTerminated, codeUnsent, ticketFailure } from "./errors.js";
import { Emitter, type Listener } from "./events.js";
import { Log, reportListenerFailure, type LogEntry } from "./log.js";
import type { Messages } from "./message_types.js";
import { MessageHub } from "./messages.js";
import type { ClientOptions, Credentials, SignOutOptions } from "./options.js";
import { SignOutChannel } from "./sign_out_channel.js";
import { TabSession } from "./tab_session.js";
import type { ClientEvents, ConnectionInfo, ConnectionState, End, Session } from "./types.js";

interface Deferred {
  readonly promise: Promise<ConnectionInfo>;
  resolve(info: ConnectionInfo): void;
  reject(error: CountersignError): void;
}

/** For the SDK only: what is behind `client.messages`. */
export let hubOf: (client: Client) => MessageHub | null;

export class Client {
  readonly #options: ClientOptions;
  readonly #environment: Environment;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #log: Log;
  readonly #channel: SignOutChannel;
  readonly #tab: TabSession;
  /** `null` unless the page asked for messages. */
  readonly #hub: MessageHub | null;
  readonly #connection: Connection;

  #stopWatching: (() => void) | null = null;

  /** The promise of `connect()`; `null` while the client is stopped. */
  #ready: Deferred | null = null;
  #lastState: ConnectionState = "disconnected";

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
    const base: Base = serverBase(url, this.#environment.pageOrigin);
    this.#log = new Log((entry) => this.#publishLog(entry), "client");
    this.#channel = new SignOutChannel(this.#environment);
    this.#tab = new TabSession(this.#environment, base, {
      person: { applicationKey: options.applicationKey, identity: options.identity },
      device: options.device,
      resume: options.resume !== false,
    });
    this.#hub = options.capabilities?.includes("messaging") ? this.#makeHub() : null;
    this.#connection = new Connection({
      environment: this.#environment,
      base,
      options,
      log: this.#log,
      tab: this.#tab,
      emitter: this.#emitter,
      hub: this.#hub,
      changed: (state, end) => this.#onState(state, end),
    });
  }

  #makeHub(): MessageHub {
    return new MessageHub({
      environment: this.#environment,
      log: this.#log,
      send: (verb, body, timeoutMs, done) => this.#connection.send(verb, body, timeoutMs, done),
      serverNow: () => this.#connection.serverNow,
      running: () => this.#ready !== null,
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** What the gateway said about the live connection; `null` while there is none. */
  get info(): ConnectionInfo | null {
    return this.state === "connected" ? this.#connection.info : null;
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
    this.#ready = makeDeferred();
    const { promise } = this.#ready;
    this.#stopWatching = this.#environment.watchPage({
      wake: () => this.#connection.wake(),
      park: () => this.#connection.park(),
    });
    this.#channel.open(
      () => this.#tab.person,
      () => this.#connection.end(signedOutElsewhere),
    );
    this.#connection.start(given);
    return promise;
  }

  /** Closes the connection. The instance lives on: `connect()` takes it up again. */
  disconnect(): void {
    this.#connection.stop();
  }

  /**
   * Ends the instance at the gateway, forgets the session and closes. May be called at any time and
   * more than once; settles when the gateway has answered, after one second at most.
   */
  async terminate(): Promise<void> {
    // The command leaves before this function first waits: a page that navigates away now still sends it.
    const farewell = this.#connection.terminate();
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

  // What the page hears.

  #onState(state: ConnectionState, end: End | undefined): void {
    const previous = this.#lastState;
    this.#lastState = state;
    if (state === "disconnected") this.#cleanUp(end);
    this.#emitter.emit("state", end === undefined ? { state, previous } : { state, previous, end });
    if (this.info !== null) this.#ready?.resolve(this.info);
  }

  /** Done before the page hears of the stop, so that it may connect again from its listener. */
  #cleanUp(end: End | undefined): void {
    this.#stopWatching?.();
    this.#stopWatching = null;
    this.#channel.close();
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
