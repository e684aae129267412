// The receipt book: how far each classic device has acknowledged its inbox.
//
// The SDK acknowledges message by message, with receipts, and not everything gets one: its own
// messages do not, nor what it passes over. So the book notes which of the delivered entries wait
// for a receipt, and what the device has polled past; the cursor may move up to the first entry
// that still waits. A receipt that does not come within the patience, although the client went on
// polling past its message, is given up: the page has shown the message or never will, and one lost
// receipt must not have everything after it delivered again for ever.
//
// The book is memory of this node alone. What another node knows, or this one has forgotten, is
// read from the store when a receipt comes that finds nothing.
// Thread-safety: every call may be made from any thread.
// Source: docs/reference/classic-door.md, "Receipts".
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_RECEIPT_BOOK_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_RECEIPT_BOOK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "gateway/classic/log_reader.h"

namespace countersign::gateway::classic {

/// To be stored: the device has handled everything up to `offset`.
struct CursorMove {
  std::string epoch;
  std::int64_t offset = 0;
};

class ReceiptBook {
 public:
  struct Options {
    std::chrono::milliseconds patience{60'000};
    /// A cursor that polls alone have moved is stored when it lies this far behind, or this long.
    std::int64_t write_behind = 16;
    std::chrono::milliseconds write_after{10'000};
    std::chrono::milliseconds forget_after{600'000};  ///< devices that are not heard of
    std::size_t max_waiting = 512;  ///< of one device; then the oldest is given up
  };

  explicit ReceiptBook(Options options) : options_(options) {}

  bool knows(const base::InstanceId& instance);
  /// Begins with where the store has the device. Nothing if it is known under this epoch.
  void open(const base::InstanceId& instance, std::string_view epoch, std::int64_t cursor,
            const LogReader::Stretch& stretch, base::SteadyTime now);
  /// Where reading for receipts has to go on; nothing if the device is not known.
  std::optional<std::int64_t> known_until(const base::InstanceId& instance);
  /// More of the inbox has been read for receipts.
  void add(const base::InstanceId& instance, const LogReader::Stretch& stretch,
           base::SteadyTime now);

  /// A page goes out to the device.
  void delivered(const base::InstanceId& instance, const std::vector<Unreceipted>& unreceipted,
                 std::int64_t offset, base::SteadyTime now);
  /// The client polls from here on: it has got everything up to `offset`.
  std::optional<CursorMove> polled(const base::InstanceId& instance, std::int64_t offset,
                                   base::SteadyTime now);
  struct Noted {
    bool found = false;
    std::optional<CursorMove> move;
  };
  Noted receipt(const base::InstanceId& instance, const Identity& sender, std::string_view session,
                base::SteadyTime now);
  /// The epoch is another, or the device's row is gone: begin anew.
  void forget(const base::InstanceId& instance);

 private:
  struct Waiting {
    Unreceipted entry;
    base::SteadyTime since;
  };
  struct Device {
    std::string epoch;
    std::int64_t stored = 0;   // the cursor in the store, or on its way there
    std::int64_t polled = 0;   // the client has got everything up to here
    std::int64_t handled = 0;  // highest entry with a receipt
    std::int64_t known = 0;    // entries up to here are in `waiting`, if they wait
    std::deque<Waiting> waiting;
    base::SteadyTime heard;
    base::SteadyTime moved;
  };

  Device* find(const base::InstanceId& instance, base::SteadyTime now);
  void add_waiting(Device& device, const Unreceipted& entry, base::SteadyTime now) const;
  static std::int64_t reach(const Device& device);
  static std::optional<CursorMove> move(Device& device, base::SteadyTime now);
  void forget_idle(base::SteadyTime now);

  const Options options_;
  std::mutex mutex_;
  std::unordered_map<base::InstanceId, Device> devices_;
  std::size_t opened_ = 0;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_RECEIPT_BOOK_H_
