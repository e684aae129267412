// The message store as the simulation sees it: the documented behaviour of the hot path, in memory,
// apart from the nodes that use it. Writes wait until the simulation lets them commit, or fail, or
// commit without anybody hearing of it. It can be put back to an earlier state, as a restored copy
// or a lagging standby is. Switches break it in the ways that the checks must notice.
// Not thread-safe: a run is one thread.
#ifndef COUNTERSIGN_GATEWAY_MODEL_MESSAGE_STORE_H_
#define COUNTERSIGN_GATEWAY_MODEL_MESSAGE_STORE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/model_conversation.h"
#include "storage/message_store.h"

namespace countersign::gateway::simulation {

struct StoreMutants {
  bool acknowledge_before_commit = false;
  bool offsets_from_sequence = false;  ///< taken before the commit; a failed one leaves a gap
  bool no_chain_check = false;         ///< and a restored copy keeps its epoch
  bool dedupe_by_msg_id_alone = false;
  bool reuse_offsets = false;  ///< the top is that of the entries there are
  bool read_in_two_steps = false;
  GroupMutants groups;
};

/// A message, or a change of a group, that was accepted.
struct AcceptedMessage {
  std::string conversation;
  std::int64_t seq = 0;
  std::string sender;
  std::string msg_id;
  std::optional<storage::GroupChange> change;
  std::set<std::string> people;  // of a direct conversation, the sender too
};
/// Somebody blocks somebody, or no longer does.
struct BlockChange {
  std::string who;
  std::string whom;
  bool blocked = true;
};
using StoreEvent = std::variant<AcceptedMessage, BlockChange>;

class ModelMessageStore {
 public:
  struct InboxRow {
    std::int64_t offset = 0;
    std::string chain;
    storage::EntryKind kind = storage::EntryKind::kMessage;
    storage::Message message;
    std::string message_id;
    std::size_t events = 0;  // that had happened when it was written
  };
  struct Inbox {
    std::int64_t floor = 0;
    std::int64_t top = 0;
    std::int64_t acknowledged = 0;  // by the device that is furthest
    std::string floor_chain;
    std::string top_chain;
    std::vector<InboxRow> rows;  // those after the floor, without a hole
  };
  struct Device {
    std::int64_t cursor = 0;
    std::string epoch;
  };
  /// A message whose entries are written later, by name.
  struct Job {
    std::string application;
    storage::Message message;
    std::string message_id;
    std::string after;  // whose entry was written last
  };
  /// Everything durable.
  struct State {
    std::string epoch = "epoch-0";
    std::map<std::string, Inbox> inboxes;  // by endpoint
    std::map<std::pair<std::string, std::string>, Device> devices;
    std::map<std::string, std::pair<std::string, storage::Sent>> dedupe;  // digest, result
    std::map<std::string, ModelConversation> conversations;
    std::deque<Job> jobs;
    std::set<std::pair<std::string, std::string>> blocks;  // who, whom
    std::vector<StoreEvent> events;
    std::int64_t sequence = 0;
  };
  /// What becomes of a write that waits.
  enum class Fate : std::uint8_t { kCommit, kFail, kUnknownLost, kUnknownCommitted };

  StoreMutants mutants;
  bool failing = false;  ///< calls that block fail
  bool unheard = false;  ///< what the background writes is there, but nobody hears of it

  // What the simulation does to it.

  std::size_t waiting() const { return writes_.size(); }
  /// Lets the write at this place be decided.
  void decide(std::size_t index, Fate fate);
  /// The node is gone: of its writes some had reached the store. Nobody hears of them.
  void lose_node(int node, const std::function<bool()>& reached);
  const State& state() const { return state_; }
  /// Puts back an earlier state under a new epoch (or, for the mutant, under the old one).
  void restore(State state);
  /// Takes entries away from the front of the inbox; with the mutant, `late` calls go unnoticed.
  void remove_old(const std::string& endpoint, std::size_t count);

  // The calls of MessageStore, for a node.

  void accept(int node, storage::Send send, std::function<void(Result<storage::Sent>)> done);
  void acknowledge(int node, storage::Ack ack, std::function<void(Result<storage::Acked>)> done);
  Result<storage::Attached> attach(const storage::Attach& attach);
  Result<storage::InboxPage> read_inbox(const storage::UserKey& user, std::int64_t after,
                                        std::size_t max_entries, std::size_t max_bytes) const;
  Result<std::vector<std::int64_t>> tops(std::span<const storage::UserKey> users) const;
  Result<std::string> epoch() const;
  Result<std::optional<storage::FanOut>> fan_out(std::size_t limit);
  Result<std::optional<storage::Receipt>> mark_read(const storage::UserKey& user,
                                                    std::string_view conversation,
                                                    std::int64_t seq);
  Result<storage::Conversation> find_conversation(const storage::UserKey& user,
                                                  std::string_view conversation) const;
  Result<std::optional<storage::GroupCount>> count_receipts(const storage::UserKey& sender,
                                                            std::string_view conversation) const;
  Result<bool> set_blocked(const storage::UserKey& user, const Identity& other, bool blocked);

 private:
  struct Write {
    int node = 0;
    // Applies it to the state, or answers that it could not be.
    std::function<void()> commit;
    std::function<void()> answer;
    std::function<void()> fail;
  };

  storage::Sent apply(const storage::Send& send, std::int64_t sequence);
  Result<storage::Acked> apply(const storage::Ack& ack);
  // Null, and why in `sent`, if it is refused.
  ModelConversation* resolve(const storage::Send& send, storage::Sent& sent);
  // Everybody whom this message concerns but its sender.
  std::vector<std::string> recipients(const ModelConversation& conversation,
                                      const std::string& sender) const;
  bool concerns(const Participant& participant, std::int64_t seq) const;
  // Writes what jobs still owe the sender, whose own entry must not overtake it.
  void catch_up(ModelConversation& conversation, const std::string& sender);
  storage::Delivery append(const std::string& user, const storage::Message& message,
                           const std::string& message_id, std::int64_t sequence);
  Result<const ModelConversation*> known(const storage::UserKey& user,
                                         std::string_view conversation) const;
  static std::optional<std::string> chain_at(const Inbox& inbox, std::int64_t offset);

  State state_;
  std::deque<Write> writes_;
  int restores_ = 0;
};

/// The store as one node sees it.
class NodeMessageStore final : public storage::MessageStore {
 public:
  NodeMessageStore(ModelMessageStore& store, int node) : store_(store), node_(node) {}

  void accept(storage::Send send, std::function<void(Result<storage::Sent>)> done) override {
    store_.accept(node_, std::move(send), std::move(done));
  }
  void acknowledge(storage::Ack ack, std::function<void(Result<storage::Acked>)> done) override {
    store_.acknowledge(node_, std::move(ack), std::move(done));
  }
  Result<storage::Attached> attach(const storage::Attach& attach) override {
    return store_.attach(attach);
  }
  Result<storage::InboxPage> read_inbox(const storage::UserKey& user, std::int64_t after,
                                        std::size_t max_entries, std::size_t max_bytes) override {
    return store_.read_inbox(user, after, max_entries, max_bytes);
  }
  Result<std::vector<std::int64_t>> tops(std::span<const storage::UserKey> users) override {
    return store_.tops(users);
  }
  Result<std::string> epoch() override { return store_.epoch(); }

  Result<std::optional<storage::FanOut>> fan_out(std::size_t limit) override {
    return store_.fan_out(limit);
  }
  Result<std::optional<storage::Receipt>> mark_read(const storage::UserKey& user,
                                                    std::string_view conversation, std::int64_t seq,
                                                    base::SystemTime) override {
    return store_.mark_read(user, conversation, seq);
  }
  Result<storage::Conversation> find_conversation(const storage::UserKey& user,
                                                  std::string_view conversation) override {
    return store_.find_conversation(user, conversation);
  }
  Result<std::optional<storage::GroupCount>> count_receipts(
      const storage::UserKey& sender, std::string_view conversation) override {
    return store_.count_receipts(sender, conversation);
  }
  Result<bool> set_blocked(const storage::UserKey& user, const Identity& other, bool blocked,
                           std::size_t, base::SystemTime) override {
    return store_.set_blocked(user, other, blocked);
  }
  // The simulation itself decides when something is old.
  Result<storage::Expiry> expire(base::SystemTime, std::size_t) override {
    return storage::Expiry();
  }
  Result<storage::Removal> remove_old(base::SystemTime, base::SystemTime, std::size_t) override {
    return storage::Removal();
  }

  // What no client of the simulation asks for.
  Result<void> renew_epoch(std::string_view) override { return absent(); }
  Result<std::vector<storage::Message>> history(const storage::UserKey&, std::string_view,
                                                std::int64_t, std::size_t) override {
    return absent();
  }
  Result<std::vector<storage::Conversation>> list_conversations(const storage::UserKey&,
                                                                base::SystemTime, std::string_view,
                                                                std::size_t) override {
    return absent();
  }
  Result<std::vector<storage::Horizon>> members(const storage::UserKey&, std::string_view,
                                                const std::optional<Identity>&,
                                                std::size_t) override {
    return absent();
  }
  Result<std::vector<bool>> share_conversation(const storage::UserKey&,
                                               std::span<const Identity>) override {
    return absent();
  }
  Result<void> open_inboxes(std::span<const storage::UserKey>, base::SystemTime) override {
    return absent();
  }
  Result<std::vector<Identity>> list_blocked(const storage::UserKey&) override { return absent(); }
  Result<void> export_messages(const storage::UserKey&,
                               const std::function<bool(const storage::Message&)>&) override {
    return absent();
  }
  Result<std::size_t> erase(const storage::UserKey&, base::SystemTime, std::size_t) override {
    return absent();
  }

 private:
  static tl::unexpected<Error> absent() {
    return fail(ErrorCode::kAbsent, "not part of the simulation");
  }

  ModelMessageStore& store_;
  const int node_;
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_MODEL_MESSAGE_STORE_H_
