// The log reader: what a user's log holds after a position, written as frames. The log is the inbox
// and the receipts of others in one order (storage/classic_store.h).
//
// A message becomes one frame, or several that stand side by side in one answer. Entries that the
// classic SDK cannot show (changes of a group, tombstones, failures) are passed over.
// Thread-safety: every call may be made from any thread. Calls block: make them from a worker.
// Source: docs/reference/classic-door.md, "Delivery".
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_LOG_READER_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_LOG_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "countersign/result.h"

#include "base/random.h"
#include "gateway/classic/classic_keys.h"
#include "gateway/classic/transport_desk.h"
#include "protocol/classic_paths.h"
#include "storage/classic_store.h"
#include "storage/message_store.h"

namespace countersign::gateway::classic {

/// A message that its reader is expected to answer with a receipt.
struct Unreceipted {
  std::int64_t offset = 0;
  Identity sender;
  std::string session;
  friend bool operator==(const Unreceipted&, const Unreceipted&) = default;
};

struct LogPage {
  std::vector<protocol::ClassicItem> items;
  std::int64_t start = 0;     ///< the inbox's part of the position that was asked for
  std::int64_t position = 0;  ///< of what was read last; where the reader stands then
  std::int64_t offset = 0;    ///< the inbox's part of it
  std::vector<Unreceipted> unreceipted;
  bool astray = false;  ///< the position lies beyond the log: it is from another life of the store
  bool more = false;    ///< there is more to read at once
};

class LogReader {
 public:
  struct Options {
    std::size_t page_entries = 64;
    std::size_t page_bytes = 96 * 1024;
    std::size_t page_receipts = 64;
    std::size_t messages_of_receipt = 256;  ///< that one receipt is told for, the newest
  };

  /// All outlive the reader.
  LogReader(Options options, const ClassicKeys& keys, TransportDesk& transports,
            storage::ClassicStore& classic, storage::MessageStore& messages, base::Random& random);

  Result<LogPage> read(const storage::UserKey& user, std::int64_t position);
  /// Which entries after `after` wait for a receipt; of one stretch, which ends at `until`.
  struct Stretch {
    std::vector<Unreceipted> unreceipted;
    std::int64_t until = 0;
  };
  Result<Stretch> unreceipted(const storage::UserKey& user, std::int64_t after);

 private:
  Result<void> write_entry(const storage::UserKey& user, const storage::Entry& entry,
                           LogPage& page);
  Result<void> write_receipt(const storage::UserKey& user, const storage::ClassicReceipt& receipt,
                             LogPage& page);
  Result<void> append(const storage::UserKey& reader, std::string_view session,
                      std::string_view transport, std::string_view text, LogPage& page);

  const Options options_;
  const ClassicKeys& keys_;
  TransportDesk& transports_;
  storage::ClassicStore& classic_;
  storage::MessageStore& messages_;
  base::Random& random_;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_LOG_READER_H_
