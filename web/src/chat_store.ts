/** Holds the state of the page: events go in, whoever draws is told once for all that came together. */
import { initialState, type ChatEvent, type ChatState } from "./chat_model.js";
import { reduce } from "./chat_state.js";

export class ChatStore {
  #state = initialState;
  #scheduled = false;
  readonly #draw: (state: ChatState) => void;

  constructor(draw: (state: ChatState) => void) {
    this.#draw = draw;
  }

  get state(): ChatState {
    return this.#state;
  }

  dispatch(event: ChatEvent): void {
    const before = this.#state;
    this.#state = reduce(before, event);
    if (this.#state !== before) this.redraw();
  }

  /** A microtask, not an animation frame: a page in the background counts what is unread, too. */
  redraw(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#draw(this.#state);
    });
  }
}
