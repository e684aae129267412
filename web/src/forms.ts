/**
 * What makes the forms nicer where JavaScript runs; without it they work as they are: a button that
 * shows the password, instants in the reader's own zone, a question before unsent messages are lost.
 */
import { giveUpUnsent } from "./unsent_messages.js";

function addShowButton(input: HTMLInputElement): void {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show-password";
  button.setAttribute("aria-controls", input.id);
  const label = document.querySelector(`label[for="${input.id}"]`)?.textContent ?? "password";

  const show = (shown: boolean): void => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${shown ? "Hide" : "Show"}: ${label}`);
  };
  button.addEventListener("click", () => show(input.type === "password"));
  // Browsers offer to keep only what was in a password field.
  input.form?.addEventListener("submit", () => show(false));
  show(false);

  const row = document.createElement("div");
  row.className = "input-row";
  input.replaceWith(row);
  row.append(input, button);
}

for (const input of document.querySelectorAll<HTMLInputElement>('input[type="password"]')) addShowButton(input);

const instant = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time")) {
  const value = new Date(time.dateTime);
  if (!Number.isNaN(value.getTime())) time.textContent = instant.format(value);
}

const names = document.querySelector<HTMLElement>("[data-user-name]")?.dataset;
for (const form of document.querySelectorAll<HTMLFormElement>('form[action^="/users/sign_out"]')) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const who = [names?.["userName"], names?.["email"]].filter((name) => name !== undefined);
    const leave = (): void => form.submit();
    giveUpUnsent(who).then((may) => void (may && leave()), leave);
  });
}
