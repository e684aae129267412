/**
 * The client page: asks the server for a ticket, starts the client with it through the public SDK, and
 * shows what happened. Text from outside reaches the page through `textContent` only.
 */
import type {} from "../../sdk/js/src/classic.js";
import type { End, LogEntry, SinchClient as Client, StateChange, TicketClaims } from "../../sdk/js/src/public.js";
import { giveUpUnsent } from "./unsent_messages.js";

const maxLogLines = 300;
/** How long signing out waits for the gateway's goodbye before it leaves the page anyway. */
const signOutPatienceMs = 1500;

type Step = "stepSigned" | "stepVerified" | "stepStarted";
type StepState = "waiting" | "done" | "failed";

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element ${id}`);
  return found as T;
}

// --- what the page shows -------------------------------------------------------------------------

function showState(state: "idle" | "connecting" | "connected" | "ended", text: string): void {
  element("state").dataset["state"] = state;
  element("stateText").textContent = text;
}

function showStep(id: Step, state: StepState, outcome: string): void {
  const step = element(id);
  step.dataset["step"] = state;
  const place = step.querySelector("[data-outcome]");
  if (place !== null) place.textContent = outcome;
}

function failOpenStep(reason: string): void {
  for (const id of ["stepSigned", "stepVerified", "stepStarted"] as const) {
    if (element(id).dataset["step"] !== "done") {
      showStep(id, "failed", reason);
      return;
    }
  }
}

const log = element("log");

function addLogLine(entry: Pick<LogEntry, "message" | "level" | "time">): void {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  const line = document.createElement("p");
  line.dataset["level"] = entry.level;
  const time = document.createElement("time");
  time.dateTime = entry.time;
  time.textContent = new Date(entry.time).toLocaleTimeString(undefined, { hour12: false });
  const text = document.createElement("span");
  text.textContent = entry.message;
  line.append(time, text);
  log.append(line);
  while (log.childElementCount > maxLogLines) log.firstElementChild?.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function note(level: LogEntry["level"], message: string): void {
  addLogLine({ level, message, time: new Date().toISOString() });
}

function showClaim(name: string, text: string): void {
  const cell = document.querySelector(`[data-claim="${name}"]`);
  if (cell !== null && cell.textContent !== text) cell.textContent = text;
}

const instant = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

let claims: TicketClaims | null = null;

function showClaims(shown: TicketClaims): void {
  claims = shown;
  showClaim("identity", `${shown.identity.type} ${shown.identity.endpoint}`);
  showClaim("applicationKey", shown.applicationKey);
  showClaim("created", shown.created === null ? "unreadable" : instant.format(shown.created));
  showClaim("session", shown.session ?? "not named");
  showClaim("signature", "HMAC-SHA256 · not shown");
  showCountdown();
}

function showCountdown(): void {
  if (claims?.expiresAt == null) return;
  const serverNow = Date.now() + (client.info?.clockOffsetMs ?? 0);
  const left = Math.round((claims.expiresAt.getTime() - serverNow) / 1000);
  showClaim("expires", `${instant.format(claims.expiresAt)} · ${left > 0 ? `in ${duration(left)}` : "expired"}`);
}

function duration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${seconds % 60}\u00a0s`; // no break between a number and its unit
  if (hours > 0) return minutes > 0 ? `${hours}\u00a0h ${minutes}\u00a0min` : `${hours}\u00a0h`;
  return minutes > 0 ? `${minutes}\u00a0min ${rest}` : rest;
}

const endings: Readonly<Record<End["kind"], readonly [title: string, text: string]>> = {
  expired: ["Your sign-in has ended", "It expired, or it was ended on another device."],
  signed_out: ["Your sign-in has ended", "You signed out in another tab, or your session was ended elsewhere."],
  replaced: ["This client was replaced", "The same device connected a second time. Load the page again to take over."],
  refused: ["The client was refused", ""],
};

let ended = false;

function showEnd(end: End): void {
  if (ended) return;
  ended = true;
  const [title, text] = endings[end.kind];
  showState("ended", "Ended");
  element("clientStart").hidden = true;
  failOpenStep(end.reason);
  element("endedTitle").textContent = title;
  element("endedReason").textContent = text === "" ? end.reason : text;
  if (end.kind === "replaced" || end.kind === "refused") {
    const link = element<HTMLAnchorElement>("endedLink");
    link.href = "/";
    link.textContent = "Load the page again";
  }
  const panel = element("ended");
  panel.hidden = false;
  panel.focus();
}

// --- the client ----------------------------------------------------------------------------------

/** A new ticket for the person signed in, or `null` when nobody is any more. */
async function requestTicket(): Promise<string | null> {
  const response = await fetch("/v1/tickets", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: "{}",
    credentials: "same-origin",
    cache: "no-store",
  });
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`The ticket endpoint answered ${response.status}`);
  const { userTicket } = (await response.json()) as { userTicket: string };
  const shown = Countersign.readTicket(userTicket);
  showClaims(shown);
  showStep("stepSigned", "done", `For ${shown.identity.endpoint}, good for ${duration(shown.expiresInSeconds)}`);
  return userTicket;
}

const client: Client = new SinchClient({
  applicationKey: element("client").dataset["applicationKey"],
  capabilities: {},
  startActiveConnection: true,
  onLogMessage: addLogLine,
  getTicket: requestTicket,
});

let wasConnected = false;

function followState({ state, end }: StateChange): void {
  if (end !== undefined) return showEnd(end);
  if (state === "connected") {
    wasConnected = true;
    showState("connected", "Connected");
  } else if (state === "connecting") {
    showState("connecting", wasConnected ? "Reconnecting…" : "Connecting…");
  } else {
    showState("idle", "Not connected");
  }
}

async function start(): Promise<void> {
  showState("connecting", "Asking for a ticket…");
  const userTicket = await requestTicket();
  if (userTicket === null) {
    showEnd({ kind: "expired", code: 601, reason: "Nobody is signed in." });
    return;
  }
  const info = await client.start({ userTicket });
  showStep("stepVerified", "done", `It knows this client as ${info.user.endpoint}`);
  showStep("stepStarted", "done", `Until ${instant.format(info.expiresAt)} unless renewed`);
  element("clientStart").hidden = false;
}

function reportFailure(thrown: unknown): void {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  // What the client itself failed of stands in its commentary already.
  if (!(thrown instanceof Countersign.CountersignError)) note("error", reason);
  failOpenStep(reason);
  if (!ended) showState("ended", "Not started");
}

/** Terminates the client first, so that the gateway knows before the session is gone; then leaves. */
async function signOutThroughClient(form: HTMLFormElement): Promise<void> {
  if (!(await giveUpUnsent([element("client").dataset["endpoint"] ?? ""]).catch(() => true))) return;
  element<HTMLButtonElement>("signOut").disabled = true;
  ended = true; // the page is about to go: no panel in between
  const patience = new Promise<void>((resolve) => setTimeout(resolve, signOutPatienceMs));
  await Promise.race([client.signOut(), patience]).catch(() => {});
  form.submit();
}

client.on("state", followState);
client.on("ended", showEnd);
element("signOut").closest("form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  void signOutThroughClient(event.currentTarget as HTMLFormElement);
});
setInterval(showCountdown, 1000);
start().catch(reportFailure);
