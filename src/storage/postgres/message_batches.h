// Batches of the hot path: many messages, or many acknowledgements, in one transaction and one
// flush. The schema's functions do the work; here stand their parameters and what they answer.
//
// A transaction fails as a whole. Where the data of one record are to blame, the batch is halved
// until that record stands alone, so that it cannot fail its neighbours. Where the outcome is
// unknown it is so for all of them, and nothing is tried again here: the senders will ask.
// Thread-safety: as Database.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_BATCHES_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_BATCHES_H_

#include <span>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/postgres/database.h"

namespace countersign::storage::postgres {

/// Accepts the messages in their order; an answer for each.
std::vector<Result<Sent>> accept_batch(Database& database, std::span<const Send* const> sends);

/// Acknowledges in order; an answer for each.
std::vector<Result<Acked>> acknowledge_batch(Database& database, std::span<const Ack* const> acks);

/// Reads the receipts in rows (what, text, type, delivered, read, flag) from `first` on, whose
/// `what` is 2 (a receipt of `member`) or 3 (one of its audience), one row after the other.
void add_receipt_row(const Row& row, int first, const Identity& member,
                     std::vector<Receipt>& receipts);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_BATCHES_H_
