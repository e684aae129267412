/**
 * Errors of the SDK.
 *
 * Every failure is a `CountersignError` with a number: programs act on `code` and `temporary`, people
 * read `message`. Numbers below 900 come from the server (`codes.ts`, generated from `api/codes.json`);
 * 900 and above are the SDK's own and never travel over the wire.
 */
import { closeCodes, errorCodes, type CodeRow } from "./codes.js";

/** What can go wrong on the client's side of the wire. */
export const clientCodes = {
  900: { name: "connection_lost", text: "The connection was lost before the answer came.", temporary: true },
  901: { name: "timed_out", text: "No answer came in time.", temporary: true },
  902: { name: "terminated", text: "The client was terminated.", temporary: false },
  903: { name: "wrong_application", text: "The ticket is for another application.", temporary: false },
  904: { name: "bad_ticket", text: "This is not a user ticket.", temporary: false },
  905: { name: "wrong_person", text: "The new ticket is for another person.", temporary: false },
  906: { name: "bad_answer", text: "The server's answer has a form this client does not know.", temporary: false },
  907: { name: "unreachable", text: "The server cannot be reached.", temporary: true },
  908: { name: "no_socket", text: "This page cannot open a WebSocket to the gateway.", temporary: false },
  909: { name: "device_in_use", text: "The session is in use by another tab.", temporary: false },
  910: { name: "unsent", text: "Messages are still waiting to be sent.", temporary: false },
} as const satisfies Readonly<Record<number, CodeRow>>;

export const codeInternal = 100;
export const codeUnauthorized = 101;
export const codeBadState = 105;
export const codeBadRequest = 107;
export const codeNotAvailable = 108;
export const codeTicketExpired = 109;
export const codeInstanceExpired = 110;
export const codeTooManyRequests = 111;
export const codeLimitExceeded = 106;
export const codeMessageExpired = 213;
export const codeOverloaded = 113;
export const codeCredentials = 600;
export const codeNotSignedIn = 601;
export const codeConnectionLost = 900;
export const codeTimedOut = 901;
export const codeTerminated = 902;
export const codeWrongApplication = 903;
export const codeBadTicket = 904;
export const codeWrongPerson = 905;
export const codeBadAnswer = 906;
export const codeUnreachable = 907;
export const codeNoSocket = 908;
export const codeDeviceInUse = 909;
export const codeUnsent = 910;

export const closeInstanceExpired = 4105;
export const closeBadInstance = 4500;
export const closeRevoked = 4503;
export const closeReplaced = 4508;

/** The row of a code, of whichever list it stands in; `undefined` for a number nobody knows. */
export function describeCode(code: number): CodeRow | undefined {
  const own: Readonly<Record<number, CodeRow>> = clientCodes;
  const close = closeCodes[code];
  if (close !== undefined) return { name: close.name, text: close.text, temporary: close.reconnect };
  return errorCodes[code] ?? own[code];
}

export interface ErrorDetails {
  /** Whether the same request may succeed later; the code's own rule when left out. */
  readonly temporary?: boolean | undefined;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** A failure with a number. */
export class CountersignError extends Error {
  override readonly name = "CountersignError";
  readonly code: number;
  readonly temporary: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: number, message?: string, details: ErrorDetails = {}) {
    const row = describeCode(code);
    super(message ?? row?.text ?? `Error ${code}.`);
    this.code = code;
    this.temporary = details.temporary ?? row?.temporary ?? false;
    this.retryAfterMs = details.retryAfterMs;
  }

  /** The name under which pages written for the classic SDK read the code. */
  get errorCode(): number {
    return this.code;
  }
}

/**
 * Turns whatever an application's `getTicket` threw into a `CountersignError`.
 *
 * `status` (of an HTTP answer) or `code` decides: 401 and 601 mean that nobody is signed in. What says
 * nothing about itself, such as the `TypeError` of a failed `fetch`, counts as temporary.
 */
export function ticketFailure(thrown: unknown): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  const fields: { status?: unknown; code?: unknown; temporary?: unknown; message?: unknown } =
    typeof thrown === "object" && thrown !== null ? thrown : {};
  const message = typeof fields.message === "string" && fields.message !== "" ? fields.message : undefined;
  const status = typeof fields.status === "number" ? fields.status : undefined;
  if (status === 401 || fields.code === 401 || fields.code === codeNotSignedIn) {
    return new CountersignError(codeNotSignedIn, message);
  }
  if (status !== undefined) return new CountersignError(codeOfStatus(status), message);
  if (typeof fields.code === "number" && describeCode(fields.code) !== undefined) {
    return new CountersignError(fields.code, message, {
      temporary: typeof fields.temporary === "boolean" ? fields.temporary : undefined,
    });
  }
  return new CountersignError(codeUnreachable, message ?? "The ticket could not be fetched.", {
    temporary: fields.temporary !== false,
  });
}

/** The code that stands for an HTTP status whose body named none. */
export function codeOfStatus(status: number): number {
  if (status === 401) return codeNotSignedIn;
  if (status === 403) return 103;
  if (status === 408 || status === 425) return codeTimedOut;
  if (status === 429) return codeTooManyRequests;
  if (status === 502 || status === 503 || status === 504) return codeOverloaded;
  if (status >= 500) return codeInternal;
  return codeBadRequest;
}
