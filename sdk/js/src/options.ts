/** What a page may set, and what it may start with. */
import type { Environment } from "./environment.js";
import type { LogEntry } from "./log.js";
import type { GetTicket } from "./ticket_source.js";
import type { Identity, Session } from "./types.js";

export interface ClientOptions {
  /**
   * Fetches a new ticket for the person who is signed in: asked when none is at hand, before the ticket
   * ends, and once when the gateway refuses one. Return nothing, or throw an error with `status` 401,
   * when nobody is signed in: the client then stops as `expired`. Any other error is tried again.
   */
  readonly getTicket?: GetTicket | undefined;
  /** Tickets of any other application are refused before connecting. */
  readonly applicationKey?: string | undefined;
  /** The only person this client may be; also decides which stored session may be resumed. */
  readonly identity?: Identity | undefined;
  /** An id for this device, 1 to 64 of `A-Za-z0-9_-`; by default the tab's own. */
  readonly device?: string | undefined;
  /** Names of what the client can do, told to the gateway; `messaging` brings `client.messages`. */
  readonly capabilities?: readonly string[] | undefined;
  /** Whether a tab takes up its instance again after a reload; default true. */
  readonly resume?: boolean | undefined;
  /** Gets each line of the running commentary. */
  readonly onLogMessage?: ((entry: LogEntry) => void) | undefined;
  /** Replaces parts of the browser, for tests and other hosts. */
  readonly environment?: Partial<Environment> | undefined;
}

/** What `connect()` accepts: a ticket, or what `getSession()` returned earlier. */
export type Credentials = string | { readonly userTicket: string } | Session;

export interface SignOutOptions {
  /** Whether messages that were not sent yet may be lost; without it they hold up the sign-out. */
  readonly discardUnsent?: boolean | undefined;
}
