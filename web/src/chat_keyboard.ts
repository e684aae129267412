/** Moving about by keyboard: through the list with the arrows, from conversation to conversation, and back. */
import { element } from "./chat_dom.js";

export interface KeyboardCalls {
  /** The conversation above (-1) or below (1) the open one. */
  step(direction: -1 | 1): void;
  back(): void;
}

export function listenToKeys(calls: KeyboardCalls): void {
  const list = element("conversations");
  list.addEventListener("keydown", (event) => {
    const rows = [...list.querySelectorAll<HTMLButtonElement>("button")];
    const at = rows.indexOf(document.activeElement as HTMLButtonElement);
    if (at < 0) return;
    const to = targetOf(event.key, at, rows.length);
    if (to === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    rows[to]?.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") !== null || event.ctrlKey || event.metaKey) return;
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      calls.step(event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Escape" && !event.isComposing && inConversation(event.target)) {
      event.preventDefault();
      calls.back();
    }
  });
}

function inConversation(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("#conversation") !== null;
}

function targetOf(key: string, at: number, count: number): number | null {
  switch (key) {
    case "ArrowUp":
      return Math.max(0, at - 1);
    case "ArrowDown":
      return Math.min(count - 1, at + 1);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
