/**
 * The API of the classic Sinch JavaScript SDK over the modern client, so that pages written for that SDK
 * run with nothing changed but the script's address.
 */
import { isPageOrigin, serverBase, type Base } from "./address.js";
import { Client, hubOf } from "./client.js";
import { browserEnvironment, type Environment } from "./environment.js";
import {
  CountersignError,
  codeBadState,
  codeNotAvailable,
  codeTerminated,
  codeUnreachable,
  ticketFailure,
} from "./errors.js";
import { Emitter, type Listener } from "./events.js";
import { Log, reportListenerFailure, type LogEntry } from "./log.js";
import { MessageClient } from "./message_client.js";
import type { Messages } from "./message_types.js";
import type { Credentials, SignOutOptions } from "./options.js";
import { ProgressPromise } from "./promise.js";
import { isBody } from "./protocol.js";
import { ticketForPassword, ticketOfSignedIn } from "./ticket_endpoint.js";
import type { GetTicket } from "./ticket_source.js";
import type { ClientEvents, ConnectionInfo, ConnectionState, Session } from "./types.js";

export interface Capabilities {
  readonly messaging?: boolean | undefined;
  readonly calling?: boolean | undefined;
  readonly video?: boolean | undefined;
}

export interface SinchClientConfig {
  /** Tickets of any other application are refused before connecting. */
  readonly applicationKey?: string | undefined;
  readonly capabilities?: Capabilities | undefined;
  /** Accepted for old pages: a started client always has a live connection. */
  readonly startActiveConnection?: boolean | undefined;
  /** Accepted for old pages: a started client always has a live connection. */
  readonly supportActiveConnection?: boolean | undefined;
  readonly onLogMessage?: ((entry: LogEntry) => void) | undefined;
  /** Where the server is; by default where the script came from. */
  readonly url?: string | URL | undefined;
  /**
   * Fetches a new ticket when one is needed. By default, on a page of the server's own origin, the
   * server is asked with the page's cookie; on other pages a ticket that has ended is the end.
   */
  readonly getTicket?: GetTicket | undefined;
  /** Replaces parts of the browser, for tests and other hosts. */
  readonly environment?: Partial<Environment> | undefined;
}

/** A ticket as text or as `{userTicket}`, what `getSession()` returned, or a name and password. */
export type StartInput = Credentials | { readonly username: string; readonly password: string };

/** How long `start()` keeps trying before it rejects. */
export const startLimitMs = 30_000;

/** One start of the client, up to its termination or end. */
interface Run {
  cancelled: boolean;
  client: Client | null;
}

export class SinchClient {
  readonly #config: SinchClientConfig;
  readonly #environment: Environment;
  readonly #base: Base;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #log: Log;
  readonly #messageClient: MessageClient;
  #run: Run | null = null;
  #terminating: Promise<void> | null = null;

  constructor(config: SinchClientConfig = {}) {
    this.#config = config;
    this.#environment = { ...browserEnvironment(), ...config.environment };
    this.#base = serverBase(config.url, this.#environment.pageOrigin);
    this.#log = new Log((entry) => this.#publish(entry), "sinch");
    this.#messageClient = new MessageClient(this.#environment);
  }

  /** The state of the connection, for pages that show it. */
  get state(): ConnectionState {
    return this.#run?.client?.state ?? "disconnected";
  }

  /** What the gateway said about the live connection; `null` while there is none. */
  get info(): ConnectionInfo | null {
    return this.#run?.client?.info ?? null;
  }

  /** The events of the modern client; listeners stay through any number of starts. */
  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }

  off<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): void {
    this.#emitter.off(name, listener);
  }

  /**
   * Signs in at the gateway and stays connected until `terminate()`.
   *
   * @param input  without it the client takes up the session this tab had before a reload, or asks for a
   *   ticket.
   * @return a promise that also has `.fail()` and `.progress()`; it rejects with a `CountersignError`.
   */
  start(
    input?: StartInput,
    onSuccess?: ((info: ConnectionInfo) => void) | null,
    onFailure?: ((error: CountersignError) => void) | null,
  ): ProgressPromise<ConnectionInfo, LogEntry> {
    const started = ProgressPromise.run<ConnectionInfo, LogEntry>(this.#claimRun(input));
    if (onSuccess || onFailure) {
      started.then(
        (info) => callBack(onSuccess, info),
        (error: unknown) => callBack(onFailure, error as CountersignError),
      );
    }
    return started;
  }

  /**
   * Ends the instance, forgets the session and closes the connection. May be called at any time, also
   * more than once; the client can be started again afterwards.
   */
  terminate(): Promise<void> {
    return this.#stop((client) => client.terminate());
  }

  /**
   * Like `terminate()`, and the clients of this person in the browser's other tabs end too.
   * @throws CountersignError 910 while messages are unsent, unless they may be discarded.
   */
  async signOut(options: SignOutOptions = {}): Promise<void> {
    const client = this.#run?.client ?? null;
    // Refused before anything is stopped.
    if (client !== null && client.unsentCount > 0 && options.discardUnsent !== true) return client.signOut();
    await this.#stop((stopping) => stopping.signOut(options));
  }

  /** Messages of this person that wait in this browser, failed ones included. */
  get unsentCount(): number {
    return this.#run?.client?.unsentCount ?? 0;
  }

  /** What `start()` needs to come back as the same instance, or `null`. A credential: keep it safe. */
  getSession(): Session | null {
    return this.#run?.client?.getSession() ?? null;
  }

  /**
   * The same object through any number of starts; its listeners stay.
   * @throws CountersignError 108 when the capability was not asked for.
   */
  getMessageClient(): MessageClient {
    this.#requireMessaging();
    return this.#messageClient;
  }

  /**
   * The messages of the modern client.
   * @throws CountersignError 108 when the capability was not asked for, 105 before `start()`.
   */
  get messages(): Messages {
    this.#requireMessaging();
    const client = this.#run?.client ?? null;
    if (client === null) throw new CountersignError(codeBadState, "Start the client first.");
    return client.messages;
  }

  /** @throws CountersignError 108: calls do not exist in this version. */
  getCallClient(): never {
    throw new CountersignError(codeNotAvailable, "Calls are not available in this version of Countersign.");
  }

  #requireMessaging(): void {
    if (this.#config.capabilities?.messaging === true) return;
    throw new CountersignError(codeNotAvailable, "Messages were not asked for: capabilities: {messaging: true}.");
  }

  /** Takes the client for one start, or yields work that refuses because it is taken. */
  #claimRun(input: StartInput | undefined): (notify: (entry: LogEntry) => void) => Promise<ConnectionInfo> {
    if (this.#run !== null) {
      const refusal = new CountersignError(codeBadState, "The client is started already.");
      return () => Promise.reject(refusal);
    }
    const run: Run = { cancelled: false, client: null };
    this.#run = run;
    this.#terminating = null;
    return async (notify) => {
      const stopNotifying = this.#emitter.on("log", notify);
      try {
        return await this.#begin(run, input);
      } finally {
        stopNotifying();
      }
    };
  }

  async #begin(run: Run, input: StartInput | undefined): Promise<ConnectionInfo> {
    try {
      if (!run.cancelled) this.#log.write("info", "Starting client…");
      if ("applicationSecret" in this.#config) {
        this.#log.write("error", "applicationSecret is ignored: whoever reads this page could sign as anybody");
      }
      const credentials = await this.#credentials(input);
      if (run.cancelled) throw new CountersignError(codeTerminated);
      const info = await this.#connect(run, credentials);
      this.#log.write("info", "Client started");
      return info;
    } catch (thrown) {
      const error = ticketFailure(thrown);
      if (!run.cancelled) {
        this.#log.write("error", `Client not started: ${error.message}`);
        run.client?.disconnect();
      }
      if (this.#run === run) this.#run = null;
      throw error;
    }
  }

  /** Exchanges a name and password for a ticket; everything else the modern client understands. */
  async #credentials(input: StartInput | undefined): Promise<Credentials | undefined> {
    if (!isBody(input) || !("password" in input)) return input as Credentials | undefined;
    const username = String(input["username"] ?? "");
    const password = String(input["password"]);
    this.#log.hide(password);
    this.#log.write("info", `Signing in username ${username}`);
    return ticketForPassword(this.#environment, this.#base, username, password);
  }

  /** Connects, giving up after a while: the page waits for an answer to show. */
  async #connect(run: Run, credentials: Credentials | undefined): Promise<ConnectionInfo> {
    const client = this.#makeClient(run);
    run.client = client;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new CountersignError(codeUnreachable)), startLimitMs);
    });
    try {
      return await Promise.race([client.connect(credentials), limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  #makeClient(run: Run): Client {
    const { applicationKey, capabilities = {}, getTicket } = this.#config;
    const sameOrigin = isPageOrigin(this.#base, this.#environment.pageOrigin);
    const client = new Client(this.#base, {
      applicationKey,
      getTicket: getTicket ?? (sameOrigin ? () => ticketOfSignedIn(this.#environment, this.#base) : undefined),
      capabilities: Object.entries(capabilities)
        .filter(([, wanted]) => wanted === true)
        .map(([name]) => name),
      environment: this.#environment,
    });
    const forward = <Name extends keyof ClientEvents>(name: Name): void => {
      client.on(name, (event) => this.#emitter.emit(name, event));
    };
    client.on("log", (entry) => this.#publish(entry));
    client.on("ended", () => {
      if (this.#run === run) this.#run = null;
    });
    forward("state");
    forward("ended");
    forward("expired");
    forward("signedOut");
    forward("error");
    forward("refreshed");
    const hub = hubOf(client);
    if (hub !== null) this.#messageClient.attach(hub);
    return client;
  }

  #stop(end: (client: Client) => Promise<void>): Promise<void> {
    const run = this.#run;
    if (run === null) return this.#terminating ?? Promise.resolve();
    run.cancelled = true;
    this.#run = null;
    const ended = run.client === null ? Promise.resolve() : end(run.client);
    this.#terminating = ended.then(() => this.#log.write("info", "Client terminated"));
    return this.#terminating;
  }

  #publish(entry: LogEntry): void {
    this.#emitter.emit("log", entry);
    try {
      this.#config.onLogMessage?.(entry);
    } catch (thrown) {
      reportListenerFailure(thrown);
    }
  }
}

/** Runs a page's callback; what it throws is the page's, and must not look like a failed start. */
function callBack<T>(listener: ((value: T) => void) | null | undefined, value: T): void {
  try {
    listener?.(value);
  } catch (thrown) {
    reportListenerFailure(thrown);
  }
}
