/** Small help with the document. Text from outside reaches it through `textContent` only. */

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element ${id}`);
  return found as T;
}

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = "",
  text = "",
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  if (text !== "") made.textContent = text;
  return made;
}

/** Writes only what is different: screen readers announce live regions that are written. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function setHidden(target: HTMLElement, hidden: boolean): void {
  if (target.hidden !== hidden) target.hidden = hidden;
}

export function button(text: string, className: string, onClick: () => void): HTMLButtonElement {
  const made = make("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

/** One thing in a list of the page: `stamp` changes whenever it has to be drawn again. */
export interface Item<T> {
  readonly key: string;
  readonly stamp: string;
  readonly value: T;
}

/**
 * Makes the children of `parent` those of `items`, in order. What stays is left alone, so that focus,
 * selection and scrolling survive; what has changed is filled again.
 */
export function reconcile<T, Child extends HTMLElement>(
  parent: HTMLElement,
  items: readonly Item<T>[],
  create: () => Child,
  fill: (child: Child, value: T) => void,
): void {
  const present = new Map<string, Child>();
  for (const child of parent.children) {
    const key = (child as Child).dataset["key"];
    if (key !== undefined) present.set(key, child as Child);
  }
  const wanted = new Set(items.map((item) => item.key));
  for (const [key, child] of present) if (!wanted.has(key)) child.remove();
  let place = parent.firstElementChild;
  for (const item of items) {
    const child = present.get(item.key) ?? create();
    if (child.dataset["stamp"] !== item.stamp) {
      child.dataset["key"] = item.key;
      child.dataset["stamp"] = item.stamp;
      fill(child, item.value);
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}
