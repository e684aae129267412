// The receipt desk: makes few publications out of many receipts. A member who reads through a
// hundred messages moves their horizon a hundred times; the others hear of it once a second.
//
// Of a direct conversation every member hears the horizon. In a group each sender whose messages
// were passed hears a count, which the store makes: the desk says what is to be counted, at most
// once a second for each sender and conversation, and turns the answer into a publication. What
// somebody reads on one device, their other devices hear in both cases.
//
// Horizons are merged by maximum, so what is published never goes back, in whatever order commits
// are reported. What is published of one member twice, by two nodes, may cross on its way; clients
// take the maximum too. Receipts may be lost: they stand in the store, and the conversation shows
// them. So a full desk drops the newcomer and counts it.
// Thread-safety: none; one lock or one thread around it. Pure: it takes an event and the present.
// Source: docs/reference/messages.md, "Receipts".
#ifndef COUNTERSIGN_GATEWAY_RECEIPT_DESK_H_
#define COUNTERSIGN_GATEWAY_RECEIPT_DESK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "countersign/identity.h"

#include "base/clock.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

struct ReceiptOptions {
  std::chrono::milliseconds interval{1'000};   ///< between publications about one member
  std::chrono::milliseconds remember{60'000};  ///< how long a published horizon guards the next
  std::size_t max_rows = 50'000;               ///< members and counts, waiting or remembered
};

/// To be published on the user's own subject: UserEvent{user.application, user.identity, event}.
struct ReceiptPublication {
  storage::UserKey user;
  protocol::LooseEvent event;
};

/// To be counted: MessageStore::count_receipts(sender, conversation).
struct CountRequest {
  storage::UserKey sender;
  std::string conversation;
  friend bool operator==(const CountRequest&, const CountRequest&) = default;
};

struct DueReceipts {
  std::vector<ReceiptPublication> publications;
  std::vector<CountRequest> counts;
};

class ReceiptDesk {
 public:
  explicit ReceiptDesk(ReceiptOptions options) : options_(options) {}

  /// A receipt that is committed.
  void add(std::string_view application, const storage::Receipt& receipt, base::SteadyTime now);
  /// One of which the member's own devices hear too.
  void add_read(std::string_view application, const storage::Receipt& receipt,
                base::SteadyTime now);
  /// What has become due. At most once a second for each member of a conversation, and for each
  /// sender's count.
  DueReceipts take(base::SteadyTime now);
  /// The count for the sender, to be published at once.
  static ReceiptPublication count_publication(std::string_view application,
                                              const storage::GroupCount& count);
  /// The count failed: it is due again after an interval.
  void count_failed(const CountRequest& request, base::SteadyTime now);

  /// When take() is due; nothing if never.
  std::optional<base::SteadyTime> next_deadline() const;
  /// Receipts that found no room, since the beginning.
  std::size_t dropped() const { return dropped_; }
  /// Members and counts that are remembered. For tests.
  std::size_t rows() const { return rows_.size(); }

 private:
  /// A member's horizon for the others, the same for the member's own devices, or a sender's count.
  enum class What : std::uint8_t { kHorizon, kOwnHorizon, kCount };
  struct Key {
    std::string application;
    std::string conversation;
    Identity user;
    What what = What::kHorizon;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyOrder {
    bool operator()(const Key& a, const Key& b) const;
  };
  struct State {
    std::int64_t delivered = 0;
    std::int64_t read = 0;
    std::vector<Identity> audience;  ///< of the publication that waits
    bool waiting = false;
    base::SteadyTime may_publish = base::SteadyTime::min();
    base::SteadyTime due;  ///< its place in `waiting_` or `remembered_`
  };
  using Rows = std::map<Key, State, KeyOrder>;
  using Row = Rows::value_type;
  // By content, not by address: equal histories have equal publications.
  struct DueOrder {
    bool operator()(const Row* a, const Row* b) const {
      return a->second.due != b->second.due ? a->second.due < b->second.due
                                            : KeyOrder()(a->first, b->first);
    }
  };

  /// `audience` hears the horizon, if it is further than what was added before under the key.
  void add_horizon(Key key, const storage::Horizon& horizon, const std::vector<Identity>& audience,
                   base::SteadyTime now);
  /// The row, made if there is room; null otherwise.
  Row* open(Key key, base::SteadyTime now);
  void wait(Row& row, base::SteadyTime now);
  void forget(base::SteadyTime now);
  void erase_oldest_remembered();

  const ReceiptOptions options_;
  Rows rows_;
  std::set<Row*, DueOrder> waiting_;     ///< by when they may be published
  std::set<Row*, DueOrder> remembered_;  ///< by when they are forgotten
  std::size_t dropped_ = 0;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_RECEIPT_DESK_H_
