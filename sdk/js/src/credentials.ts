/** What a page may hand to `connect()` or `start()`, told apart and checked before anything is sent. */
import {
  CountersignError,
  codeBadTicket,
  codeWrongApplication,
  codeWrongPerson,
} from "./errors.js";
import { readSession } from "./session_store.js";
import { describeIdentity, readTicket, sameIdentity, ticketOf, type TicketClaims } from "./ticket.js";
import type { Identity, Session } from "./types.js";

/** Whom a client stands for. Once known it does not change: a client never turns into somebody else. */
export interface Person {
  readonly applicationKey?: string | undefined;
  readonly identity?: Identity | undefined;
  /** The public handle of the sign-in session. */
  readonly signIn?: string | undefined;
}

export type Given =
  | { readonly kind: "nothing" }
  | { readonly kind: "ticket"; readonly ticket: string; readonly claims: TicketClaims }
  | { readonly kind: "session"; readonly session: Session };

/** @throws CountersignError 904 when the value is neither ticket nor session. */
export function readCredentials(value: unknown): Given {
  if (value === undefined || value === null) return { kind: "nothing" };
  const session = readSession(value);
  if (session !== null) return { kind: "session", session };
  const ticket = ticketOf(value);
  if (ticket === null) {
    throw new CountersignError(
      codeBadTicket,
      "Start with a user ticket, an object {userTicket}, or what getSession() returned.",
    );
  }
  return { kind: "ticket", ticket, claims: readTicket(ticket) };
}

/** @throws CountersignError 903 or 905 when a ticket or session does not fit whom the client stands for. */
export function checkPerson(expected: Person, found: { applicationKey: string; identity: Identity }): void {
  if (expected.applicationKey !== undefined && expected.applicationKey !== found.applicationKey) {
    throw new CountersignError(
      codeWrongApplication,
      `The ticket is for application "${found.applicationKey}", but this client was made for "${expected.applicationKey}".`,
    );
  }
  if (expected.identity !== undefined && !sameIdentity(expected.identity, found.identity)) {
    throw new CountersignError(
      codeWrongPerson,
      `The ticket is for ${describeIdentity(found.identity)}, but this client is ${describeIdentity(expected.identity)}.`,
    );
  }
}
