/**
 * Keeps an instance alive: decides when a connected client gets a new ticket and hands it to the
 * gateway. Pure, like the connection machine it is a part of; one plan serves all connections.
 *
 * A refresh starts at 80 % of the life left or when the gateway reminds, never twice within a second.
 * Temporary failures are tried again with growing pauses while the connection lives; a refused ticket
 * once more; after that the plan rests until the gateway reminds again.
 */
import { backoffDelayMs, readableDelay } from "./backoff.js";
import { codeTicketExpired, codeUnauthorized, type CountersignError } from "./errors.js";
import type { Action } from "./steps.js";

export const refreshAt = 0.8;
export const minRefreshGapMs = 1_000;
/** Pause at least this long when a new ticket turned out to live no longer than the last. */
export const staleTicketPauseMs = 5_000;
/** Browsers keep timers in 31 bits; a longer one would fire at once. */
export const maxTimerMs = 12 * 3_600_000;

export class RefreshPlan {
  readonly #canGetTicket: boolean;
  readonly #random: () => number;
  readonly #act: (action: Action) => void;
  readonly #askForTicket: () => void;
  #stage: "rest" | "ticket" | "sent" | "pause" = "rest";
  #due = 0;
  #started = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #refusedOnce = false;
  #expiresAt: number | null = null;

  /**
   * @param act  takes the actions, in order.
   * @param askForTicket  asks unless a question is already on its way.
   */
  constructor(
    canGetTicket: boolean,
    random: () => number,
    act: (action: Action) => void,
    askForTicket: () => void,
  ) {
    this.#canGetTicket = canGetTicket;
    this.#random = random;
    this.#act = act;
    this.#askForTicket = askForTicket;
  }

  /** A connection is up. `expiresInMs` is the life its instance has left; `null` when unknown. */
  connected(expiresInMs: number | null, now: number): void {
    this.#stage = "rest";
    this.#failures = 0;
    this.#refusedOnce = false;
    this.#schedule(expiresInMs, now);
  }

  /** The connection is gone, and with it whatever was under way on it. */
  disconnected(): void {
    this.#stage = "rest";
  }

  /** The gateway reminds that the instance ends in `inMs`. */
  expiring(inMs: number, now: number): void {
    this.#expiresAt = now + Math.max(0, inMs);
    this.#refusedOnce = false;
    if (this.#stage === "ticket" || this.#stage === "sent") return;
    const gap = this.#started + minRefreshGapMs - now;
    if (gap > 0) this.#arm(gap, now);
    else this.#begin(now);
  }

  timer(now: number): void {
    if (this.#stage === "ticket" || this.#stage === "sent") return;
    if (now < this.#due) {
      this.#act({ do: "startTimer", name: "refresh", ms: Math.min(this.#due - now, maxTimerMs) });
    } else {
      this.#begin(now);
    }
  }

  /** A ticket came. It is sent if this plan has been waiting for one. */
  ticket(ticket: string): void {
    if (this.#stage !== "ticket") return;
    this.#stage = "sent";
    this.#act({ do: "refresh", ticket });
  }

  ticketFailed(error: CountersignError, now: number): void {
    if (this.#stage === "ticket") this.#failed("No new ticket", error, now);
  }

  /** The gateway accepted the ticket. */
  refreshed(expiresInMs: number | null, now: number): void {
    if (this.#stage !== "sent") return;
    const before = this.#expiresAt;
    this.connected(expiresInMs, now);
    if (before !== null && expiresInMs !== null && now + expiresInMs <= before + 500) {
      // A cached ticket was handed out again. Asking in ever shorter steps would not make it younger.
      this.#log("warn", "The new ticket lives no longer than the last one");
      this.#arm(Math.max(expiresInMs / 2, staleTicketPauseMs), now);
    }
  }

  /** The gateway did not accept the ticket, or did not answer. */
  refreshFailed(error: CountersignError, now: number): void {
    if (this.#stage !== "sent") return;
    const again = error.code === codeUnauthorized || error.code === codeTicketExpired;
    if (again && !this.#refusedOnce) {
      this.#refusedOnce = true;
      this.#stage = "pause";
      this.#arm(minRefreshGapMs, now);
      this.#act({ do: "error", error });
      this.#log("warn", `Ticket refused: ${error.message} Asking for another one`);
      return;
    }
    this.#failed("Ticket refused", error, now);
  }

  #schedule(expiresInMs: number | null, now: number): void {
    this.#expiresAt = expiresInMs === null ? null : now + expiresInMs;
    if (expiresInMs === null) this.#act({ do: "stopTimer", name: "refresh" });
    else this.#arm(expiresInMs * refreshAt, now);
  }

  #arm(delayMs: number, now: number): void {
    const delay = Math.max(Math.round(delayMs), minRefreshGapMs);
    this.#due = now + delay;
    this.#act({ do: "startTimer", name: "refresh", ms: Math.min(delay, maxTimerMs) });
  }

  #begin(now: number): void {
    this.#act({ do: "stopTimer", name: "refresh" });
    if (!this.#canGetTicket) {
      this.#log("warn", "The ticket ends soon, and there is no way to a new one (option getTicket)");
      return;
    }
    this.#started = now;
    this.#stage = "ticket";
    this.#askForTicket();
  }

  #failed(what: string, error: CountersignError, now: number): void {
    if (!error.temporary) {
      // The instance lives on to its end; the gateway reminds once more before that.
      this.#stage = "rest";
      this.#act({ do: "error", error });
      this.#log("error", `${what}: ${error.message}`);
      return;
    }
    this.#stage = "pause";
    ++this.#failures;
    const wait = backoffDelayMs(this.#failures, this.#random(), error.retryAfterMs);
    const delay = Math.max(wait, minRefreshGapMs);
    this.#arm(delay, now);
    this.#log("warn", `${what}: ${error.message} Trying again in ${readableDelay(delay)}`);
  }

  #log(level: "warn" | "error", message: string): void {
    this.#act({ do: "log", level, message });
  }
}
