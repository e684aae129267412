/**
 * Questions to the gateway that may safely be asked twice: they wait for a connection, and are asked again
 * when it is lost before the answer or when the gateway asks for patience, within one limit of time.
 */
import { CountersignError, codeConnectionLost, codeTerminated, codeTimedOut } from "./errors.js";
import type { Outcome } from "./link.js";
import { isBody, own, type Body } from "./protocol.js";

/** Sends a command over the live connection; `false` when there is none. */
export type SendCommand = (
  verb: string,
  body: Body,
  timeoutMs: number,
  done: (outcome: Outcome) => void,
) => boolean;

export const requestLimitMs = 15_000;
const answerLimitMs = 10_000;
const defaultPauseMs = 1_000;

interface Question {
  readonly verb: string;
  readonly body: Body;
  readonly settle: (outcome: Outcome) => void;
  /** Tells a late answer of a lost connection from the one that is awaited. */
  round: number;
  asked: boolean;
  over: boolean;
}

export class Requests {
  readonly #send: SendCommand;
  readonly #open = new Set<Question>();

  constructor(send: SendCommand) {
    this.#send = send;
  }

  /**
   * @return the member of the reply that bears the verb's name.
   * @throws CountersignError what the gateway says; 901 when no answer came within 15 s, connecting included.
   */
  async ask(verb: string, body: Body, limitMs = requestLimitMs): Promise<Body> {
    const outcome = await new Promise<Outcome>((resolve) => {
      const settle = (result: Outcome): void => {
        clearTimeout(timer);
        question.over = true;
        this.#open.delete(question);
        resolve(result);
      };
      const timer = setTimeout(() => settle({ ok: false, error: new CountersignError(codeTimedOut) }), limitMs);
      const question: Question = { verb, body, settle, round: 0, asked: false, over: false };
      this.#open.add(question);
      this.#ask(question);
    });
    if (!outcome.ok) throw outcome.error;
    const reply = own(outcome.body, verb);
    return isBody(reply) ? reply : {};
  }

  /** There is a connection: what waits is asked now. */
  connected(): void {
    for (const question of [...this.#open]) if (!question.asked) this.#ask(question);
  }

  /** The connection is gone, and every answer with it. */
  disconnected(): void {
    for (const question of this.#open) {
      ++question.round;
      question.asked = false;
    }
  }

  /** The client has stopped: nobody will answer. */
  stop(): void {
    for (const question of [...this.#open]) question.settle({ ok: false, error: new CountersignError(codeTerminated) });
  }

  #ask(question: Question): void {
    if (question.over) return;
    const round = ++question.round;
    question.asked = this.#send(question.verb, question.body, answerLimitMs, (outcome) => {
      if (question.over || question.round !== round) return;
      if (outcome.ok || !outcome.error.temporary) {
        question.settle(outcome);
        return;
      }
      // Lost with the connection: `connected` asks again. Otherwise after a pause.
      question.asked = outcome.error.code !== codeConnectionLost;
      if (!question.asked) return;
      setTimeout(() => {
        if (question.round === round) this.#ask(question);
      }, outcome.error.retryAfterMs ?? defaultPauseMs);
    });
  }
}
