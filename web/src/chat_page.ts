/**
 * The chat page: starts the client, and puts together what draws it. What each message's state is comes from
 * the SDK and is shown as it is; the page promises nothing of its own.
 */
import type {} from "../../sdk/js/src/classic.js";
import type { Client, End, Message } from "../../sdk/js/src/public.js";
import { Composer } from "./chat_composer.js";
import { ask, NewConversation } from "./chat_dialogs.js";
import { element, setHidden, setText } from "./chat_dom.js";
import { listenToKeys } from "./chat_keyboard.js";
import { ConversationList, drawLoading, drawTitle, ordered } from "./chat_list.js";
import type { ChatState, Conversation, ConversationKey } from "./chat_model.js";
import { ConversationOptions } from "./chat_options.js";
import { ChatSession } from "./chat_session.js";
import { ChatStore } from "./chat_store.js";
import { linkDetail, linkText, resetTexts, subtitleOf, titleOf, typingText } from "./chat_text.js";
import { TimelineView } from "./chat_timeline.js";

/** How long signing out waits for the gateway's goodbye before it leaves the page anyway. */
const signOutPatienceMs = 1_500;
/** `5 minutes ago` is looked at again so often. */
const clockTickMs = 30_000;

const root = element("chat");

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
  if (!response.ok) throw Object.assign(new Error("No ticket"), { status: response.status });
  return ((await response.json()) as { userTicket: string }).userTicket;
}

const client: Client = new Countersign.Client(undefined, {
  applicationKey: root.dataset["applicationKey"],
  capabilities: ["messaging"],
  getTicket: requestTicket,
});

/** Now, by the server's clock: a wrong clock here does not date messages into the future. */
function serverNow(): number {
  return Date.now() + (client.info?.clockOffsetMs ?? lastOffsetMs);
}
let lastOffsetMs = 0;

const store = new ChatStore(draw);
const session = new ChatSession(client, store, serverNow, announce);
const list = new ConversationList((key) => openConversation(key));
const options = new ConversationOptions(session);
const composer = new Composer({
  send: (conversation, text) => session.send(conversation, text),
  typing: (conversation, active) => session.typing(conversation, active),
});
const timeline = new TimelineView({
  loadOlder: () => withOpen((conversation) => session.loadOlder(conversation.key)),
  loadNewest: () => withOpen((conversation) => session.loadNewest(conversation.key)),
  retry: (id) => session.retry(id),
  discard: (id) => session.discard(id),
  seen: (seq) => withOpen((conversation) => noteSeen(conversation, seq)),
});
const newConversation = new NewConversation({
  begin: (names) => {
    session.begin(names.map((name) => session.person(name)));
    showConversation();
  },
  createGroup: async (name, names) => {
    await session.createGroup(
      name,
      names.map((one) => session.person(one)),
    );
    showConversation();
  },
  ownName: () => store.state.me?.endpoint ?? "",
});

// --- drawing -------------------------------------------------------------------------------------

function opened(state: ChatState): Conversation | undefined {
  return state.open === null ? undefined : state.conversations.get(state.open);
}

function withOpen(use: (conversation: Conversation) => void): void {
  const conversation = opened(store.state);
  if (conversation !== undefined) use(conversation);
}

function draw(state: ChatState): void {
  const now = serverNow();
  drawLink(state);
  drawLoading(state);
  drawTitle(state);
  list.draw(state, now);
  const conversation = opened(state);
  setHidden(element("conversation"), conversation === undefined);
  setHidden(element("noneOpen"), conversation !== undefined);
  if (conversation === undefined) {
    timeline.close();
    composer.close();
    return;
  }
  setText(element("conversationTitle"), titleOf(conversation));
  setText(element("conversationSub"), subtitleOf(state, conversation, now));
  setText(element("typing"), typingText(conversation));
  timeline.draw(state, conversation, now);
  composer.draw(state, conversation);
  options.draw(state, conversation, now);
  keepAddress(conversation);
}

function drawLink({ link }: ChatState): void {
  const place = element("link");
  const name = link.state === "live" ? "connected" : link.state;
  if (place.dataset["state"] !== name) place.dataset["state"] = name;
  setText(element("linkText"), linkText(link));
  setText(element("linkMore"), linkDetail(link));
  root.dataset["link"] = link.state;
  setHidden(element("reset"), link.reset === null);
  setText(element("resetText"), link.reset === null ? "" : resetTexts[link.reset]);
}

/** Spoken, not shown: what somebody wrote while one is on the page. */
function announce(message: Message): void {
  if (message.kind !== "message") return;
  const open = store.state.open === message.conversation;
  const text = message.text.length > 200 ? `${message.text.slice(0, 200)}…` : message.text;
  setText(element("announcer"), `${message.from.endpoint}${open ? "" : ", in another conversation"}: ${text}`);
}

// --- moving about --------------------------------------------------------------------------------

/** The address names the open conversation: a reload comes back to it, and Back leaves it. */
function keepAddress(conversation: Conversation): void {
  const wanted = conversation.id === null ? "" : `#${conversation.id}`;
  if (wanted !== "" && location.hash !== wanted && history.state?.chat === "open") {
    history.replaceState({ chat: "open" }, "", wanted);
  }
}

function openConversation(key: ConversationKey): void {
  session.open(key);
  showConversation();
}

function showConversation(): void {
  const conversation = opened(store.state);
  if (conversation === undefined) return;
  root.dataset["pane"] = "conversation";
  const address = conversation.id === null ? location.pathname : `#${conversation.id}`;
  if (history.state?.chat === "open") history.replaceState({ chat: "open" }, "", address);
  else history.pushState({ chat: "open" }, "", address);
  // After the drawing that is due: what was hidden cannot take the focus.
  queueMicrotask(() => (matchMedia("(pointer: coarse)").matches ? element("conversationTitle").focus() : composer.focus()));
}

function showList(): void {
  const { open } = store.state;
  root.dataset["pane"] = "list";
  composer.close();
  store.dispatch({ type: "close" });
  for (const row of element("conversations").children) {
    if ((row as HTMLElement).dataset["key"] === open) row.querySelector("button")?.focus();
  }
}

function leaveConversation(): void {
  if (history.state?.chat === "open") history.back();
  else showList();
}

function openFromAddress(): void {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id === "" || id === store.state.open) return;
  session.openById(id).then((found) => {
    if (found) showConversation();
  });
}

/**
 * A message counts as read when its end is in sight, on a page that is in sight. What one wrote oneself is no reason
 * to say so: below it there may be what nobody here ever had.
 */
function noteSeen(conversation: Conversation, seq: number): void {
  if (document.visibilityState !== "visible") return;
  const messages = store.state.timelines.get(conversation.key)?.messages ?? [];
  const others = messages.some((message) => !message.outgoing && message.seq > conversation.read && message.seq <= seq);
  if (others || conversation.unread > 0) session.markRead(conversation, seq);
}

// --- starting and ending -------------------------------------------------------------------------

const endings: Readonly<Record<End["kind"], readonly [title: string, text: string]>> = {
  expired: ["Your sign-in has ended", "It expired, or it was ended on another device."],
  signed_out: ["Your sign-in has ended", "You signed out in another tab, or your session was ended elsewhere."],
  replaced: ["This page was replaced", "The same device connected a second time. Load the page again to take over."],
  refused: ["The client was refused", ""],
};
let leaving = false;

function showEnd(end: End): void {
  if (leaving) return;
  const [title, text] = endings[end.kind];
  setText(element("endedTitle"), title);
  setText(element("endedReason"), text === "" ? end.reason : text);
  if (end.kind === "replaced" || end.kind === "refused") {
    const link = element<HTMLAnchorElement>("endedLink");
    link.href = "/chat";
    setText(link, "Load the page again");
  }
  const panel = element("ended");
  setHidden(panel, false);
  panel.focus();
}

/** What waits here belongs to the person and goes with them; nobody loses it without having been asked. */
async function signOut(form: HTMLFormElement): Promise<void> {
  const waiting = client.messages.unsentCount;
  if (waiting > 0) {
    const sure = await ask({
      title: "Sign out with unsent messages?",
      text: `${waiting === 1 ? "One message has" : `${waiting} messages have`} not been stored by the server yet. Signing out deletes ${waiting === 1 ? "it" : "them"} from this device.`,
      yes: "Delete and sign out",
      no: "Stay signed in",
    });
    if (!sure) return;
  }
  leaving = true;
  element<HTMLButtonElement>("signOut").disabled = true;
  const patience = new Promise<void>((resolve) => setTimeout(resolve, signOutPatienceMs));
  await Promise.race([client.signOut({ discardUnsent: true }), patience]).catch(() => {});
  form.submit();
}

element("signOut").closest("form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  void signOut(event.currentTarget as HTMLFormElement);
});
element("newChat").addEventListener("click", () => newConversation.open());
element("options").addEventListener("click", () =>
  withOpen((conversation) => options.open(store.state, conversation, serverNow())),
);
element("back").addEventListener("click", leaveConversation);
element("resetDismiss").addEventListener("click", () => {
  store.dispatch({ type: "resetDismissed" });
  composer.focus();
});
element("moreConversations").addEventListener("click", () => void session.loadList(store.state.listNext));
listenToKeys({
  step: (direction) => {
    const all = ordered(store.state);
    const at = all.findIndex((conversation) => conversation.key === store.state.open);
    const next = all[at < 0 ? 0 : at + direction];
    if (next !== undefined) openConversation(next.key);
  },
  back: leaveConversation,
});
addEventListener("popstate", () => {
  if (location.hash === "" && store.state.open !== null) showList();
  else openFromAddress();
});
addEventListener("offline", () => store.dispatch({ type: "browserOffline" }));
addEventListener("online", () => store.dispatch({ type: "link", state: client.state }));
document.addEventListener("visibilitychange", () => {
  session.setAway(document.visibilityState !== "visible");
  // Coming back to the page is seeing what has come meanwhile; what was read on other devices is asked for.
  store.redraw();
  if (document.visibilityState === "visible" && client.state === "connected") void session.loadList();
});
setInterval(() => store.redraw(), clockTickMs);

client.on("state", ({ state }) => {
  if (state === "connected") lastOffsetMs = client.info?.clockOffsetMs ?? 0;
});
client.on("ended", showEnd);
client
  .connect()
  .then(openFromAddress)
  .catch(() => {});
store.redraw();
