/** What goes into the connection machine (`state.ts`) and what comes out of it. */
import type { CountersignError } from "./errors.js";
import type { LogLevel } from "./log.js";
import type { ConnectionState, End } from "./types.js";

export type Credential =
  | { readonly kind: "ticket"; readonly ticket: string }
  | { readonly kind: "instance"; readonly instance: string; readonly secret: string };

/**
 * `handshake` limits opening and `connect`; `retry` ends a pause; `silence` watches for a dead link;
 * `probe` limits a ping of ours; `stable` marks a connection as good; `refresh` is due for a new ticket.
 */
export type TimerName = "handshake" | "retry" | "silence" | "probe" | "stable" | "refresh";

export type Input =
  | { readonly type: "start" }
  /** `restored`: the credential is from before a reload or a park; nothing is known about its fate since. */
  | { readonly type: "prepared"; readonly credential: Credential | null; readonly restored: boolean }
  | { readonly type: "stop" }
  | { readonly type: "end"; readonly end: End }
  | { readonly type: "ticket"; readonly ticket: string }
  | { readonly type: "ticketFailed"; readonly error: CountersignError }
  | {
      readonly type: "connected";
      readonly credential: Credential;
      /** Life left, by the server's clock; `null` when it said nothing. */
      readonly expiresInMs: number | null;
      readonly pingIntervalMs: number;
    }
  | { readonly type: "refused"; readonly error: CountersignError }
  | { readonly type: "bye"; readonly code: number; readonly retryAfterMs: number | undefined }
  | { readonly type: "closed"; readonly code: number }
  | { readonly type: "traffic" }
  | { readonly type: "wake" }
  /** The page is left and may be kept as it is, to be shown again: it is silent until the next `wake`. */
  | { readonly type: "park" }
  | { readonly type: "expiring"; readonly inMs: number }
  | { readonly type: "refreshed"; readonly expiresInMs: number | null }
  | { readonly type: "refreshFailed"; readonly error: CountersignError }
  | { readonly type: "timer"; readonly name: TimerName };

export type Action =
  | { readonly do: "open"; readonly credential: Credential }
  /** Closes the present connection; nothing more is heard of it. */
  | { readonly do: "drop"; readonly code: number }
  /** Lets the device id go; `prepare` asks for it again. */
  | { readonly do: "park" }
  /** Settles the device again; answered by `prepared`, with this credential or without one. */
  | { readonly do: "prepare"; readonly credential: Credential | null }
  | { readonly do: "getTicket" }
  | { readonly do: "refresh"; readonly ticket: string }
  | { readonly do: "probe" }
  | { readonly do: "startTimer"; readonly name: TimerName; readonly ms: number }
  | { readonly do: "stopTimer"; readonly name: TimerName }
  | { readonly do: "state"; readonly state: ConnectionState; readonly end?: End }
  | { readonly do: "ended"; readonly end: End }
  | { readonly do: "error"; readonly error: CountersignError }
  | { readonly do: "log"; readonly level: LogLevel; readonly message: string };
