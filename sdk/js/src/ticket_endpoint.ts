/**
 * The two places of a Countersign server that hand out tickets: `POST /v1/tickets` for the person signed
 * in with the page's cookie, and `POST /api/auth` for a user name and password.
 */
import type { Environment } from "./environment.js";
import {
  CountersignError,
  codeBadAnswer,
  codeCredentials,
  codeNotSignedIn,
  codeOfStatus,
  codeUnreachable,
  describeCode,
} from "./errors.js";
import { isBody, numberIn } from "./protocol.js";
import { ticketOf } from "./ticket.js";

/** A ticket for the person who is signed in. Rejects with 601 when nobody is. */
export function ticketOfSignedIn(environment: Environment, base: string): Promise<string> {
  return post(environment, `${base}v1/tickets`, {}, "same-origin");
}

/** A ticket for a user name and password. Rejects with 600 when they are not right. */
export async function ticketForPassword(
  environment: Environment,
  base: string,
  username: string,
  password: string,
): Promise<string> {
  try {
    return await post(environment, `${base}api/auth`, { username, password }, "omit");
  } catch (thrown) {
    if (thrown instanceof CountersignError && (thrown.code === 103 || thrown.code === codeNotSignedIn)) {
      throw new CountersignError(codeCredentials);
    }
    throw thrown;
  }
}

async function post(
  environment: Environment,
  url: string,
  body: object,
  credentials: RequestCredentials,
): Promise<string> {
  if (environment.fetch === null) throw new CountersignError(codeUnreachable);
  let response: Response;
  try {
    response = await environment.fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
      credentials,
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    // The exception tells nothing a person could use, and its text is the browser's own.
    throw new CountersignError(codeUnreachable);
  }
  const answer = await readJson(response);
  if (!response.ok) throw refusal(response, answer);
  const ticket = ticketOf(answer);
  if (ticket === null) throw new CountersignError(codeBadAnswer, "The server's answer holds no ticket.");
  return ticket;
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await response.text());
  } catch {
    return null;
  }
}

/** The problem document of a refusal names a code; other servers only have a status. */
function refusal(response: Response, answer: unknown): CountersignError {
  const named = isBody(answer) ? numberIn(answer, "code") : undefined;
  const known = named !== undefined && describeCode(named) !== undefined ? named : undefined;
  const code = response.status === 401 ? codeNotSignedIn : (known ?? codeOfStatus(response.status));
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new CountersignError(code, undefined, {
    temporary: code !== codeNotSignedIn && (describeCode(code)?.temporary === true || response.status >= 500),
    retryAfterMs: seconds > 0 ? seconds * 1000 : undefined,
  });
}
