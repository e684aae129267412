import { expect, test } from "vitest";

import type { ReceiptEvent } from "../src/message_types.js";
import { ReceiptBook } from "../src/receipts.js";
import { TrackedMessage } from "../src/sent_message.js";
import { alice, bob } from "./fake_server.js";

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
