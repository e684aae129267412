/** Asks the page's `getTicket`, with a time limit, and tells a ticket from everything else it may return. */
import { CountersignError, codeNotSignedIn, codeTimedOut } from "./errors.js";
import { ticketOf } from "./ticket.js";
import type { TicketAnswer } from "./types.js";

export type GetTicket = () => TicketAnswer | Promise<TicketAnswer>;

/** How long a page may take to come up with a ticket. */
export const ticketLimitMs = 30_000;

/**
 * @return the ticket. Rejects with 601 when there is none, with 901 when it takes too long, and with
 *   whatever `getTicket` throws.
 */
export function askForTicket(getTicket: GetTicket): Promise<string> {
  return new Promise<TicketAnswer>((resolve, reject) => {
    const timer = setTimeout(() => reject(new CountersignError(codeTimedOut)), ticketLimitMs);
    Promise.resolve()
      .then(getTicket)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  }).then((answer) => {
    const ticket = ticketOf(answer);
    if (ticket === null) throw new CountersignError(codeNotSignedIn);
    return ticket;
  });
}
