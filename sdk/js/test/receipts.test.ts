import { expect, test } from "vitest";

import type { ReceiptEvent } from "../src/message_types.js";
import { ReceiptBook } from "../src/receipts.js";
import { TrackedMessage } from "../src/sent_message.js";
import { CountersignError } from "../src/errors.js";
import { alice, bob } from "./fake_server.js";

const carol = { type: "username", endpoint: "carol" } as const;

const conversation = "g-1";
const counts = (seq: number, delivered: number, read: number): ReceiptEvent => ({
  conversation,
  seq,
  delivered,
  read,
  of: 99,
});

test("Counts of a group that cross on their way never go back", () => {
  const book = new ReceiptBook(alice);
  book.note(counts(9, 41, 12));
  book.note(counts(9, 40, 13));
  expect(book.progress(conversation, 9)).toEqual({ delivered: 41, read: 13, of: 99 });
  // Of the next message fewer know yet; late news of the one before changes nothing.
  book.note(counts(10, 2, 1));
  book.note(counts(9, 42, 14));
  expect(book.progress(conversation, 10)).toEqual({ delivered: 2, read: 1, of: 99 });
});

test("A message goes on knowing who has got it when the counts are those of a later one", () => {
  const target = { conv: conversation };
  const message = new TrackedMessage(
    { id: "m", target, content: { text: "x" }, created: 0, attempted: true, failure: null },
    alice,
  );
  const book = new ReceiptBook(alice);
  message.wasAccepted({ conversation, seq: 9, leftOut: [] });
  for (const receipt of [counts(9, 40, 12), counts(10, 2, 1)]) {
    book.note(receipt);
    message.progressed(book.progress(conversation, 9));
  }
  expect([message.deliveredTo, message.readBy]).toEqual([40, 12]);
});

test("A user's horizon never goes back, and what was read was delivered", () => {
  const book = new ReceiptBook(alice);
  book.note({ conversation, user: bob, delivered: 3, read: 7 });
  book.note({ conversation, user: bob, delivered: 6, read: 5 });
  expect(book.progress(conversation, 7, 1)).toEqual({ delivered: 1, read: 1, of: 1 });
});

test("Who never got a message has not got it because they got a later one", () => {
  const book = new ReceiptBook(alice);
  const target = { to: [bob, carol] };
  const message = new TrackedMessage(
    { id: "m", target, content: { text: "x" }, created: 0, attempted: true, failure: null },
    alice,
  );
  const hear = (user: typeof bob, seq: number): void => {
    book.note({ conversation, user, delivered: seq, read: seq });
    message.progressed(book.progress(conversation, 1, 2));
  };
  const miss = (user: typeof bob): void => {
    const missed = book.miss(conversation, 1, user);
    message.notDelivered(new CountersignError(213), missed, book.progress(conversation, 1, 2));
  };
  message.wasAccepted({ conversation, seq: 1, leftOut: [] });
  hear(carol, 1);
  // Bob's receipt for a later message overtakes the news that he never got this one.
  hear(bob, 2);
  expect([message.state, message.readBy]).toEqual(["read", 2]);
  miss(bob);
  expect([message.state, message.readBy, message.error?.code]).toEqual(["accepted", 1, 213]);
  hear(bob, 3);
  expect([message.state, message.deliveredTo, message.readBy]).toEqual(["accepted", 1, 1]);
  expect(book.progress(conversation, 2, 2)).toEqual({ delivered: 1, read: 1, of: 2 });
  miss(bob);
  expect(message.state).toBe("accepted");
  miss(carol);
  expect(message.state).toBe("failed");
});
