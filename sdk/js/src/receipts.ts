/**
 * How far everybody has got in the conversations that matter to this page: horizons that only move forward,
 * from receipts as they come and from the state of a conversation when it is asked for. A horizon passes what its
 * user never got, too: who did not get a message is counted apart.
 */
import type { ConversationInfo, Horizon, ReceiptEvent } from "./message_types.js";
import { sameIdentity } from "./ticket.js";
import type { Identity } from "./types.js";

/** How many recipients have got and read one message; `of` is `null` while nobody knows. */
export interface Progress {
  readonly delivered: number;
  readonly read: number;
  readonly of: number | null;
}

interface Known {
  readonly horizons: Map<string, Horizon>;
  /** In a large group only counts are told, for this user's last message. */
  counts: { seq: number; delivered: number; read: number; of: number } | null;
  others: number | null;
  /** Who never got a message, by its seq. */
  readonly missed: Map<number, Set<string>>;
}

/** Messages of a conversation of which it is remembered that somebody never got them; the oldest are forgotten first. */
const maxMissed = 1000;
/** Conversations that are remembered; those used longest ago are forgotten first. */
const maxConversations = 500;

export class ReceiptBook {
  readonly #self: Identity;
  readonly #known = new Map<string, Known>();

  constructor(self: Identity) {
    this.#self = self;
  }

  /** Takes a receipt over. */
  note(receipt: ReceiptEvent): void {
    const known = this.#of(receipt.conversation);
    if (receipt.user !== undefined) {
      this.#advance(known, { user: receipt.user, delivered: receipt.delivered, read: receipt.read });
    } else if (receipt.seq !== undefined && receipt.of !== undefined && receipt.seq >= (known.counts?.seq ?? 0)) {
      const { seq, of } = receipt;
      // What two nodes count may cross on its way.
      const before = known.counts?.seq === seq ? known.counts : null;
      const delivered = Math.max(receipt.delivered, before?.delivered ?? 0);
      known.counts = { seq, delivered, read: Math.max(receipt.read, before?.read ?? 0), of };
    }
  }

  /** Takes a conversation's state over. @return receipts for whatever had not been known. */
  learn(info: ConversationInfo): ReceiptEvent[] {
    const known = this.#of(info.conversation);
    known.others = Math.max(0, info.memberCount - 1);
    const news = info.members.filter((horizon) => this.#advance(known, horizon));
    return news.map(({ user, delivered, read }) => ({ conversation: info.conversation, user, delivered, read }));
  }

  /** Somebody never got a message. @return how many that are by now. */
  miss(conversation: string, seq: number, user: Identity): number {
    const { missed } = this.#of(conversation);
    const users = missed.get(seq) ?? new Set();
    missed.set(seq, users.add(keyOf(user)));
    const [oldest] = missed.keys();
    if (missed.size > maxMissed && oldest !== undefined) missed.delete(oldest);
    return users.size;
  }

  knows(conversation: string): boolean {
    return (this.#known.get(conversation)?.others ?? null) !== null;
  }

  /** @param recipients  how many there are, where the message itself says so. */
  progress(conversation: string, seq: number, recipients: number | null = null): Progress {
    const known = this.#known.get(conversation);
    const of = recipients ?? known?.others ?? null;
    const missed = known?.missed.get(seq);
    const horizons = [...(known?.horizons.values() ?? [])].filter(({ user }) => missed?.has(keyOf(user)) !== true);
    let delivered = horizons.filter((horizon) => horizon.delivered >= seq).length;
    let read = horizons.filter((horizon) => horizon.read >= seq).length;
    const counts = known?.counts ?? null;
    if (counts === null || counts.seq < seq) return { delivered, read, of };
    // Who has got the later message has got this one, too.
    delivered = Math.max(delivered, counts.delivered);
    read = Math.max(read, counts.read);
    return { delivered, read, of: of ?? counts.of };
  }

  #advance(known: Known, { user, delivered, read }: Horizon): boolean {
    if (sameIdentity(user, this.#self)) return false;
    const key = keyOf(user);
    const before = known.horizons.get(key) ?? { user, delivered: 0, read: 0 };
    // What was read was delivered.
    const next = { user, read: Math.max(read, before.read), delivered: Math.max(delivered, read, before.delivered) };
    known.horizons.set(key, next);
    return next.delivered > before.delivered || next.read > before.read;
  }

  #of(conversation: string): Known {
    const known = this.#known.get(conversation) ?? { horizons: new Map(), counts: null, others: null, missed: new Map() };
    this.#known.delete(conversation);
    this.#known.set(conversation, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxConversations && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}

function keyOf({ type, endpoint }: Identity): string {
  return JSON.stringify([type, endpoint]);
}

export function stateOf({ delivered, read, of }: Progress): "accepted" | "delivered" | "read" {
  const all = Math.max(1, of ?? 1);
  if (read >= all) return "read";
  return delivered >= all ? "delivered" : "accepted";
}
