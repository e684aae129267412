/**
 * The connection as a pure state machine: an input and the present moment go in, actions come out. It
 * opens no socket, sets no timer and reads no clock; `connection.ts` does what it says.
 *
 *     idle ──start──▶ preparing ──▶ ticket ──▶ opening ──▶ up
 *                          └───────────────────▲   │        │
 *                                    waiting ──┘◀──┴────────┘   loss: wait, then again
 *
 * From every phase the machine can fall back to idle: because the page said so, or for good (`ended`). A page that
 * goes into the back/forward cache is `parked`, without a connection, and prepares again when it is shown.
 *
 * What it promises, and where:
 * - it never asks for two tickets at once, and never uses one it did not ask for (`askForTicket`);
 * - a refused credential costs one question for a new ticket, then the machine stops (`askOnce`);
 * - a loss is answered after 0 to 300 ms, then with growing, jittered pauses, without end (`retry`);
 * - tickets are renewed in time, without loops (`refresh.ts`);
 * - a page in the back/forward cache holds nothing: no socket, which would keep it out of the cache or die in there
 *   unheard, and no device id, which the next page of the tab is to have (`onPark`);
 * - a late timer proves nothing in a throttled tab: it leads to a probe, not to a loss (`onSilence`).
 */
import { backoffDelayMs, readableDelay } from "./backoff.js";
import { closeCodes } from "./codes.js";
import {
  CountersignError,
  closeBadInstance,
  closeInstanceExpired,
  closeReplaced,
  closeRevoked,
  codeInstanceExpired,
  codeNotSignedIn,
  codeTicketExpired,
  codeTimedOut,
  codeUnauthorized,
} from "./errors.js";
import type { LogLevel } from "./log.js";
import { RefreshPlan } from "./refresh.js";
import type { Action, Credential, Input, TimerName } from "./steps.js";
import type { ConnectionState, End } from "./types.js";

export const handshakeLimitMs = 10_000;
export const probeLimitMs = 3_000;
export const stableAfterMs = 30_000;
/** How much longer than its ping interval the gateway may be silent. */
export const silenceGraceMs = 10_000;
/** A timer this late was held back by the browser: the page slept, the link may be well. */
export const lateMs = 5_000;

export const signInAgain = "Expired, sign in again.";

type Phase = "idle" | "preparing" | "ticket" | "opening" | "waiting" | "up" | "parked";

const timers: readonly TimerName[] = ["handshake", "retry", "silence", "probe", "stable", "refresh"];

export class ConnectionMachine {
  readonly #canGetTicket: boolean;
  readonly #random: () => number;
  #phase: Phase = "idle";
  #credential: Credential | null = null;
  #actions: Action[] = [];
  #now = 0;

  #attempt = 0;
  /** The one question for a new ticket after a refusal has been asked. */
  #askedOnce = false;
  /** The credential is from before a reload or a park and has not been accepted since. */
  #restored = false;
  #ticketInFlight = false;
  /** The server asked for the present pause: waking up does not shorten it. */
  #pauseIsServers = false;
  #pauseEnds = 0;
  #bye: { readonly code: number; readonly retryAfterMs: number | undefined } | null = null;

  #lastTraffic = 0;
  #silenceLimitMs = 0;
  #silenceDue = 0;
  #probeDue: number | null = null;

  readonly #refresh: RefreshPlan;

  /**
   * @param canGetTicket  whether there is any way to a new ticket.
   * @param random  uniform in [0, 1).
   */
  constructor(canGetTicket: boolean, random: () => number) {
    this.#canGetTicket = canGetTicket;
    this.#random = random;
    this.#refresh = new RefreshPlan(
      canGetTicket,
      random,
      (action) => this.#actions.push(action),
      () => this.#askForTicket(),
    );
  }

  get state(): ConnectionState {
    if (this.#phase === "idle") return "disconnected";
    return this.#phase === "up" ? "connected" : "connecting";
  }

  /** Takes one input at `now` (milliseconds, never backwards) and says what to do, in order. */
  step(input: Input, now: number): Action[] {
    this.#now = now;
    this.#actions = [];
    this.#apply(input, now);
    return this.#actions;
  }

  #apply(input: Input, now: number): void {
    if (input.type === "start") {
      if (this.#phase === "idle") this.#onStart();
      return;
    }
    if (input.type === "ticket" || input.type === "ticketFailed") this.#ticketInFlight = false;
    if (this.#phase === "idle") return;
    switch (input.type) {
      case "prepared":
        if (this.#phase === "preparing") this.#onPrepared(input.credential, input.restored);
        break;
      case "stop":
        this.#toIdle();
        break;
      case "end":
        this.#end(input.end);
        break;
      case "ticket":
        this.#onTicket(input.ticket);
        break;
      case "ticketFailed":
        this.#onTicketFailed(input.error);
        break;
      case "connected":
        if (this.#phase === "opening") this.#onConnected(input);
        break;
      case "refused":
        if (this.#phase === "opening") this.#onRefused(input.error);
        break;
      case "bye":
        this.#bye = { code: input.code, retryAfterMs: input.retryAfterMs };
        break;
      case "closed":
        if (this.#phase === "opening" || this.#phase === "up") this.#onClosed(input.code);
        break;
      case "traffic":
        this.#onTraffic();
        break;
      case "wake":
        this.#onWake();
        break;
      case "park":
        this.#onPark();
        break;
      case "expiring":
        if (this.#phase === "up") this.#refresh.expiring(input.inMs, now);
        break;
      case "refreshed":
        if (this.#phase === "up") this.#refresh.refreshed(input.expiresInMs, now);
        break;
      case "refreshFailed":
        if (this.#phase === "up") this.#refresh.refreshFailed(input.error, now);
        break;
      case "timer":
        this.#onTimer(input.name);
        break;
    }
  }

  // Getting connected.

  #onStart(): void {
    this.#attempt = 0;
    this.#askedOnce = false;
    this.#ticketInFlight = false;
    this.#pauseIsServers = false;
    this.#bye = null;
    this.#enter("preparing");
  }

  #onPrepared(credential: Credential | null, restored: boolean): void {
    this.#credential = credential;
    this.#restored = restored;
    if (this.#pauseIsServers && this.#now < this.#pauseEnds) {
      this.#wait(this.#pauseEnds - this.#now);
      return;
    }
    this.#connect();
  }

  /** Opens with the credential at hand, or gets a ticket first. */
  #connect(): void {
    if (this.#credential === null) {
      if (!this.#canGetTicket) {
        this.#end({ kind: "expired", code: codeTicketExpired, reason: signInAgain });
        return;
      }
      this.#enter("ticket");
      this.#askForTicket();
      return;
    }
    this.#bye = null;
    this.#enter("opening");
    this.#startTimer("handshake", handshakeLimitMs);
    this.#actions.push({ do: "open", credential: this.#credential });
  }

  #askForTicket(): void {
    if (this.#ticketInFlight) return;
    this.#ticketInFlight = true;
    this.#actions.push({ do: "getTicket" });
  }

  #onTicket(ticket: string): void {
    if (this.#phase === "ticket") {
      this.#credential = { kind: "ticket", ticket };
      this.#connect();
    } else if (this.#phase === "up") {
      this.#refresh.ticket(ticket);
    }
    // Otherwise the connection that wanted it is gone; the next one asks afresh.
  }

  #onTicketFailed(error: CountersignError): void {
    if (error.code === codeNotSignedIn) {
      this.#end({ kind: "expired", code: codeNotSignedIn, reason: signInAgain });
      return;
    }
    if (this.#phase === "ticket") {
      if (!error.temporary) {
        this.#actions.push({ do: "error", error });
        this.#end({ kind: "refused", code: error.code, reason: error.message });
        return;
      }
      this.#retry("No ticket yet", error.retryAfterMs);
    } else if (this.#phase === "up") {
      this.#refresh.ticketFailed(error, this.#now);
    }
  }

  #onConnected(input: Extract<Input, { type: "connected" }>): void {
    this.#credential = input.credential;
    this.#restored = false;
    this.#stopTimer("handshake");
    this.#silenceLimitMs = input.pingIntervalMs + silenceGraceMs;
    this.#lastTraffic = this.#now;
    this.#probeDue = null;
    this.#enter("up");
    this.#armSilence();
    this.#startTimer("stable", stableAfterMs);
    this.#refresh.connected(input.expiresInMs, this.#now);
  }

  /** The gateway answered `connect` with an error. */
  #onRefused(error: CountersignError): void {
    this.#actions.push({ do: "drop", code: 1000 });
    if (error.temporary) {
      this.#retry(error.message, error.retryAfterMs);
      return;
    }
    const credentialFault =
      error.code === codeUnauthorized || error.code === codeTicketExpired || error.code === codeInstanceExpired;
    if (credentialFault) {
      this.#askOnce(error.code, error.message);
      return;
    }
    this.#actions.push({ do: "error", error });
    this.#end({ kind: "refused", code: error.code, reason: error.message });
  }

  /**
   * The credential was not accepted: asks once for a new ticket. The question is allowed again when a
   * connection has proved stable, so a ticket source that hands out bad tickets cannot make a loop.
   */
  #askOnce(code: number, reason: string): void {
    if (!this.#askedOnce && this.#canGetTicket) {
      this.#askedOnce = true;
      this.#restored = false;
      this.#credential = null;
      this.#log("info", `${reason} Asking for a new ticket.`);
      this.#connect();
      return;
    }
    const expired = code === codeTicketExpired || code === codeInstanceExpired;
    this.#end(
      expired
        ? { kind: "expired", code, reason: signInAgain }
        : { kind: "refused", code, reason: `${reason} Sign in again.` },
    );
  }

  // Losing the connection.

  #onClosed(closeCode: number): void {
    // A connection cut right after `bye` reports some transport code; what the gateway said counts.
    const code = closeCode < 4000 && this.#bye !== null ? this.#bye.code : closeCode;
    const row = closeCodes[code];
    if (code >= 4500 && code <= 4999) {
      const text = row?.text ?? `The gateway closed the connection for good (${code}).`;
      // What was stored before a reload may belong to a sign-in that has long ended; the page's present one
      // deserves a question before the client gives up.
      const stale = code === closeRevoked && this.#restored && this.#canGetTicket && !this.#askedOnce;
      if (code === closeBadInstance || stale) {
        this.#leaveUp();
        this.#askOnce(code, text);
      } else {
        const kinds: Readonly<Record<number, End["kind"]>> = {
          [closeRevoked]: "signed_out",
          [closeReplaced]: "replaced",
        };
        this.#end({ kind: kinds[code] ?? "refused", code, reason: text });
      }
      return;
    }
    if (code === closeInstanceExpired) {
      this.#credential = null;
      this.#restored = false;
    }
    const cause = row === undefined || code < 4000 ? "Connection lost" : `Connection closed: ${row.text}`;
    this.#retry(cause, this.#bye?.retryAfterMs);
  }

  /** Waits, then connects again: at once the first time, with growing pauses after that. */
  #retry(cause: string, retryAfterMs?: number): void {
    this.#leaveUp();
    const delay = backoffDelayMs(this.#attempt, this.#random(), retryAfterMs);
    ++this.#attempt;
    this.#pauseIsServers = retryAfterMs !== undefined && retryAfterMs > 0;
    this.#pauseEnds = this.#now + delay;
    this.#wait(delay);
    this.#log("warn", `${cause.replace(/\.$/, "")}, trying again in ${readableDelay(delay)}`);
  }

  #wait(ms: number): void {
    this.#enter("waiting");
    this.#startTimer("retry", ms);
  }

  /** What prepares has no connection yet, and goes on when the page does. */
  #onPark(): void {
    if (this.#phase === "parked" || this.#phase === "preparing") return;
    this.#actions.push({ do: "drop", code: 1000 });
    this.#leaveUp();
    this.#enter("parked");
    this.#actions.push({ do: "park" });
    this.#log("debug", "The page is left: no connection until it is shown again");
  }

  #onWake(): void {
    if (this.#phase === "parked") {
      this.#enter("preparing");
      this.#actions.push({ do: "prepare", credential: this.#credential });
    } else if (this.#phase === "waiting" && !this.#pauseIsServers) {
      this.#stopTimer("retry");
      this.#connect();
    } else if (this.#phase === "up" && this.#probeDue === null) {
      this.#probe();
    }
  }

  // Watching the connection.

  #onTraffic(): void {
    this.#lastTraffic = this.#now;
    if (this.#probeDue !== null) {
      this.#probeDue = null;
      this.#stopTimer("probe");
    }
  }

  #armSilence(): void {
    this.#silenceDue = this.#lastTraffic + this.#silenceLimitMs;
    this.#startTimer("silence", this.#silenceDue - this.#now);
  }

  #onSilence(): void {
    if (this.#now < this.#lastTraffic + this.#silenceLimitMs) {
      this.#armSilence();
    } else if (this.#now > this.#silenceDue + lateMs) {
      // The page was frozen, and the gateway's pings may be waiting behind this timer.
      this.#armSilence();
      if (this.#probeDue === null) this.#probe();
    } else {
      this.#lose("The gateway has gone silent");
    }
  }

  #probe(): void {
    this.#probeDue = this.#now + probeLimitMs;
    this.#startTimer("probe", probeLimitMs);
    this.#actions.push({ do: "probe" });
  }

  #onProbe(): void {
    if (this.#probeDue === null) return;
    if (this.#now > this.#probeDue + lateMs) this.#probe();
    else this.#lose("No answer to a ping");
  }

  #lose(cause: string): void {
    this.#actions.push({ do: "drop", code: 1000 });
    this.#retry(cause);
  }

  // Timers and ends.

  #onTimer(name: TimerName): void {
    if (name === "retry" && this.#phase === "waiting") this.#connect();
    else if (name === "handshake" && this.#phase === "opening") {
      this.#lose(new CountersignError(codeTimedOut).message);
    } else if (this.#phase === "up") {
      if (name === "silence") this.#onSilence();
      else if (name === "probe") this.#onProbe();
      else if (name === "refresh") this.#refresh.timer(this.#now);
      else if (name === "stable") {
        this.#attempt = 0;
        this.#askedOnce = false;
      }
    }
  }

  #end(end: End): void {
    this.#log(end.kind === "refused" ? "error" : "warn", end.reason);
    this.#toIdle(end);
    this.#actions.push({ do: "ended", end });
  }

  #toIdle(end?: End): void {
    this.#actions.push({ do: "drop", code: 1000 });
    for (const name of timers) this.#stopTimer(name);
    this.#credential = null;
    this.#restored = false;
    this.#refresh.disconnected();
    this.#enter("idle", end);
  }

  /** Forgets what belonged to the connection that is gone. */
  #leaveUp(): void {
    for (const name of timers) this.#stopTimer(name);
    this.#probeDue = null;
    this.#refresh.disconnected();
  }

  #enter(phase: Phase, end?: End): void {
    const before = this.state;
    this.#phase = phase;
    const state = this.state;
    if (state !== before) this.#actions.push(end === undefined ? { do: "state", state } : { do: "state", state, end });
  }

  #startTimer(name: TimerName, ms: number): void {
    this.#actions.push({ do: "startTimer", name, ms: Math.max(0, Math.round(ms)) });
  }

  #stopTimer(name: TimerName): void {
    this.#actions.push({ do: "stopTimer", name });
  }

  #log(level: LogLevel, message: string): void {
    this.#actions.push({ do: "log", level, message });
  }
}
