/** The public words of the SDK: states, sessions, events. */
import type { CountersignError } from "./errors.js";
import type { LogEntry } from "./log.js";

/** Whether messages can flow. There is one `state` event per transition. */
export type ConnectionState = "disconnected" | "connecting" | "connected";

/** Who a ticket is for. */
export interface Identity {
  /** `username`, `email` or `number`. */
  readonly type: string;
  readonly endpoint: string;
}

/**
 * What a tab needs to come back as the same instance without a new ticket: the object that
 * `getSession()` returns and `connect()` or `start()` accepts. It is a credential: keep it in this
 * browser, do not log it, do not send it anywhere.
 */
export interface Session {
  readonly instance: string;
  readonly secret: string;
  readonly applicationKey: string;
  readonly identity: Identity;
  readonly device: string;
  /** When the instance ends unless it is refreshed; RFC 3339, by the server's clock. */
  readonly expiresAt: string;
  /** The public handle of the sign-in session, when the ticket carried one. */
  readonly signIn?: string;
}

/** What the gateway said about the live connection. */
export interface ConnectionInfo {
  readonly connection: string;
  readonly node: string;
  readonly user: Identity;
  readonly device: string;
  /** When the instance ends unless it is refreshed, by the server's clock. */
  readonly expiresAt: Date;
  /** The server's clock minus this computer's, in milliseconds. */
  readonly clockOffsetMs: number;
  /** Whether this connection took up an instance made earlier instead of making one. */
  readonly resumed: boolean;
  /** Limits the gateway announced, such as `max_frame_bytes`. */
  readonly limits: Readonly<Record<string, number>>;
}

/**
 * Why the client stopped for good.
 *
 * - `expired`: nobody is signed in any more and no new ticket can be had: sign in again.
 * - `signed_out`: the sign-in was ended, here, in another tab or at the server.
 * - `replaced`: the same device connected a second time.
 * - `refused`: the gateway or the ticket endpoint does not want this client; `code` says why.
 */
export type EndKind = "expired" | "signed_out" | "replaced" | "refused";

export interface End {
  readonly kind: EndKind;
  /** An error code, or the close code of the gateway. */
  readonly code: number;
  /** A sentence that can be shown to a person. */
  readonly reason: string;
}

export interface StateChange {
  readonly state: ConnectionState;
  readonly previous: ConnectionState;
  /** Present when `state` is `disconnected` because the client stopped for good. */
  readonly end?: End;
}

export interface ClientEvents {
  /** The connection state has changed. */
  state: StateChange;
  /** The client stopped for good. `expired` or `signedOut` follows when it is of that kind. */
  ended: End;
  /** Nobody is signed in any more: show "expired, sign in again". */
  expired: End;
  /** The sign-in was ended, in this browser or at the server. */
  signedOut: End;
  /** Something failed; the client goes on by itself unless `ended` follows. */
  error: CountersignError;
  /** The instance lives longer: a new ticket was accepted. */
  refreshed: { readonly expiresAt: Date };
  /** One line of the running commentary. */
  log: LogEntry;
}

/** What `getTicket` may return; nothing at all says that nobody is signed in. */
export type TicketAnswer = string | { readonly userTicket: string } | null | undefined;
