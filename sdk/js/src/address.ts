/**
 * Where the server is: by default where the script came from, otherwise the option `url`.
 */
import { CountersignError, codeBadRequest } from "./errors.js";

let scriptUrl: string | null = null;

/** Called once by each entry point with the address its script was loaded from. */
export function setScriptUrl(url: string | null | undefined): void {
  scriptUrl = url !== null && url !== undefined && /^https?:/.test(url) ? url : null;
}

/** `https://host/`: the base of the server's addresses, always ending in a slash. */
export type Base = string;

/**
 * @param url  `https://host[:port][/prefix]` (or `http`, `ws`, `wss`); when absent, the origin of the
 *   script, and where that is unknown, of the page.
 * @throws CountersignError 107 when there is no usable address.
 */
export function serverBase(url: string | URL | null | undefined, pageOrigin: string | null): Base {
  const explicit = url !== null && url !== undefined && String(url) !== "";
  const text = explicit ? String(url) : (scriptUrl ?? pageOrigin);
  if (text === null) throw new CountersignError(codeBadRequest, "Say where the server is: option url.");
  let parsed: URL;
  try {
    parsed = pageOrigin === null ? new URL(text) : new URL(text, pageOrigin);
  } catch {
    throw new CountersignError(codeBadRequest, "The server's address (option url) is not a URL.");
  }
  const scheme = parsed.protocol.replace(/^ws/, "http");
  if (scheme !== "http:" && scheme !== "https:") {
    throw new CountersignError(codeBadRequest, "The server's address (option url) must begin with https: or http:.");
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw new CountersignError(codeBadRequest, "The server's address (option url) must not hold credentials.");
  }
  const prefix = explicit ? parsed.pathname.replace(/\/*$/, "/") : "/";
  return `${scheme}//${parsed.host}${prefix}`;
}

/** The WebSocket address of the gateway. */
export function gatewayUrl(base: Base): string {
  return `${base.replace(/^http/, "ws")}v1/gateway`;
}

/** Whether cookies of this server reach it from the page. */
export function isPageOrigin(base: Base, pageOrigin: string | null): boolean {
  return pageOrigin !== null && new URL(base).origin === pageOrigin;
}
