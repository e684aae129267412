// Sends, acknowledgements, resumes and reads in any order, against a model in memory.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include <rapidcheck.h>

#include "storage/conformance/message_conformance.h"
#include "storage/message_ids.h"

namespace countersign::storage {
namespace {

constexpr std::size_t kPeople = 4;
constexpr std::size_t kDevices = 3;

/// A step is five bytes: what, who, and three to choose by.
using Step = std::array<std::uint8_t, 5>;

/// What the store should hold.
class Model {
 public:
  Model(Store& store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {
    for (std::size_t i = 0; i < kPeople; ++i) {
      names_.push_back(prefix_ + std::to_string(i));
      sign_in(store_, {names_.back()});
      boxes_[names_.back()].cursors["phone"] = 0;
    }
  }

  void run(const Step& step) {
    const std::string& who = names_[step[1] % kPeople];
    switch (step[0] % 4) {
      case 0:
        return send(who, step);
      case 1:
        return acknowledge_some(who, step);
      case 2:
        return attach(who, step);
      default:
        return read(who, step);
    }
  }

  void check_all() {
    for (const std::string& name : names_) RC_ASSERT(faults_of_inbox(store_, name) == "");
  }

 private:
  struct Item {
    std::string chain;
    EntryKind kind;
    std::string conversation;
    std::int64_t seq;
    std::string msg_id;
  };
  struct Box {
    std::vector<Item> items;
    std::map<std::string, std::int64_t> cursors;
    std::int64_t acknowledged = 0;
    std::int64_t top() const { return static_cast<std::int64_t>(items.size()); }
    std::string chain(std::int64_t offset) const {
      return offset == 0 ? first_chain() : items[static_cast<std::size_t>(offset - 1)].chain;
    }
  };
  struct Accepted {
    std::string digest;
    std::string conversation;
    std::int64_t seq;
    std::int64_t offset;
  };

  static std::string device(std::uint8_t choice) {
    return choice % kDevices == 0 ? "phone" : "device" + std::to_string(choice % kDevices);
  }

  void send(const std::string& who, const Step& step) {
    std::set<std::string> to;
    for (std::size_t i = 0; i < kPeople; ++i) {
      if ((step[2] >> i & 1) != 0 && names_[i] != who) to.insert(names_[i]);
    }
    if (to.empty()) to.insert(who);
    const std::string msg_id = "m" + std::to_string(step[3] % 16);
    Send one = text(who, {to.begin(), to.end()}, msg_id);
    one.digest = std::string(32, static_cast<char>('a' + step[2] % 16));
    const Result<Sent> sent = accept(store_, one);
    RC_ASSERT(sent.ok());

    if (const auto known = accepted_.find({who, msg_id}); known != accepted_.end()) {
      if (known->second.digest != one.digest) {
        RC_ASSERT(sent->refused.has_value());
        RC_ASSERT(sent->refused->code == ErrorCode::kIdempotencyConflict);
      } else {
        RC_ASSERT(sent->duplicate);
        RC_ASSERT(sent->conversation == known->second.conversation);
        RC_ASSERT(sent->seq == known->second.seq);
        RC_ASSERT(sent->offset == known->second.offset);
      }
      return;
    }
    to.insert(who);
    const std::string conversation =
        direct_conversation_id("application", people({to.begin(), to.end()}));
    const std::int64_t seq = ++seqs_[conversation];
    for (const std::string& name : to) {
      Box& box = boxes_[name];
      box.items.push_back({next_chain(box.chain(box.top()), one.message_id, box.top() + 1),
                           name == who ? EntryKind::kSent : EntryKind::kMessage, conversation, seq,
                           msg_id});
    }
    std::int64_t& own = delivered_[{conversation, who}];
    if (own == seq - 1) own = seq;
    accepted_[{who, msg_id}] = {one.digest, conversation, seq, boxes_[who].top()};
    RC_ASSERT(!sent->refused && !sent->duplicate);
    RC_ASSERT(sent->conversation == conversation);
    RC_ASSERT(sent->seq == seq);
    RC_ASSERT(sent->deliveries.size() == to.size());
    for (const Delivery& delivery : sent->deliveries) {
      const Box& box = boxes_[delivery.user.endpoint];
      RC_ASSERT(delivery.offset == box.top());
      RC_ASSERT(delivery.chain == box.items.back().chain);
      RC_ASSERT(delivery.kind == box.items.back().kind);
    }
  }

  void acknowledge_some(const std::string& who, const Step& step) {
    Box& box = boxes_[who];
    const std::int64_t offset = step[2] % (box.top() + 2);
    const std::string name = device(step[3]);
    const Result<Acked> acked = acknowledge(
        store_, Ack{user(who), name, store_.messages().epoch().value(), offset, at(200)});
    if (box.cursors.count(name) == 0) return RC_ASSERT(acked.code() == ErrorCode::kAbsent);
    if (offset > box.top()) {
      return RC_ASSERT(acked.code() == ErrorCode::kUnrecoverablePosition);
    }
    RC_ASSERT(acked.ok());
    box.cursors[name] = std::max(box.cursors[name], offset);
    RC_ASSERT(acked->cursor == box.cursors[name]);

    std::map<std::string, std::int64_t> moved;
    for (std::int64_t i = box.acknowledged + 1; i <= offset; ++i) {
      const Item& item = box.items[static_cast<std::size_t>(i - 1)];
      if (item.kind == EntryKind::kMessage) moved[item.conversation] = item.seq;
    }
    box.acknowledged = std::max(box.acknowledged, offset);
    std::map<std::string, std::int64_t> expected;
    for (const auto& [conversation, seq] : moved) {
      std::int64_t& delivered = delivered_[{conversation, who}];
      if (delivered < seq) expected[conversation] = delivered = seq;
    }
    std::map<std::string, std::int64_t> told;
    for (const Receipt& receipt : acked->receipts) {
      told[receipt.horizon.conversation] = receipt.horizon.delivered;
    }
    RC_ASSERT(told == expected);
  }

  void attach(const std::string& who, const Step& step) {
    Box& box = boxes_[who];
    const std::string name = device(step[3]);
    Attach attach;
    attach.user = user(who);
    attach.device = name;
    attach.now = at(1);
    const std::int64_t offset = step[2] % (box.top() + 2);
    const bool broken = step[4] % 4 == 1;
    if (step[4] % 4 != 0) {
      attach.resume = Position{store_.messages().epoch().value(), offset,
                               broken || offset > box.top() ? "differs!" : box.chain(offset)};
    }
    const Result<Attached> attached = store_.messages().attach(attach);
    RC_ASSERT(attached.ok());

    using Reason = Attached::Reason;
    const bool known = box.cursors.count(name) != 0;
    if (!known) {
      std::int64_t lowest = box.top();
      for (const auto& [other, cursor] : box.cursors) lowest = std::min(lowest, cursor);
      box.cursors[name] = lowest;
    }
    const bool good = attach.resume && !broken && offset <= box.top();
    const Reason reason = attach.resume ? (good ? Reason::kNone : Reason::kEpoch)
                          : known       ? Reason::kNone
                                        : Reason::kUnknownDevice;
    const std::int64_t from = good ? offset : box.cursors[name];
    RC_ASSERT(attached->reason == reason);
    RC_ASSERT(attached->cursor == box.cursors[name]);
    RC_ASSERT(attached->from == from);
    RC_ASSERT(attached->from_chain == box.chain(from));
    RC_ASSERT(attached->top == box.top());
    RC_ASSERT(attached->top_chain == box.chain(box.top()));
  }

  void read(const std::string& who, const Step& step) {
    const Box& box = boxes_[who];
    const std::int64_t after = step[2] % (box.top() + 2);
    const std::size_t limit = 1 + step[3] % 8;
    const Result<InboxPage> page =
        store_.messages().read_inbox(user(who), after, limit, kManyBytes);
    RC_ASSERT(page.ok());
    RC_ASSERT(page->top == box.top());
    const std::int64_t left = std::max<std::int64_t>(box.top() - after, 0);
    RC_ASSERT(static_cast<std::int64_t>(page->entries.size()) ==
              std::min(left, static_cast<std::int64_t>(limit)));
    std::int64_t offset = after;
    for (const Entry& entry : page->entries) {
      const Item& item = box.items[static_cast<std::size_t>(offset)];
      RC_ASSERT(entry.offset == ++offset);
      RC_ASSERT(entry.chain == item.chain);
      RC_ASSERT(entry.kind == item.kind);
      RC_ASSERT(entry.message.conversation == item.conversation);
      RC_ASSERT(entry.message.seq == item.seq);
      RC_ASSERT(entry.message.id == item.msg_id);
    }
  }

  Store& store_;
  std::string prefix_;
  std::vector<std::string> names_;
  std::map<std::string, Box> boxes_;
  std::map<std::string, std::int64_t> seqs_;
  std::map<std::pair<std::string, std::string>, std::int64_t> delivered_;
  std::map<std::pair<std::string, std::string>, Accepted> accepted_;
};

TEST_P(MessageConformance, AnyOrderOfCallsAgreesWithTheModel) {
  int run = 0;
  const bool holds = rc::check([&](const std::vector<Step>& steps) {
    // People of their own for every run: the store is the same.
    Model model(store(), "run" + std::to_string(run++) + "-");
    for (const Step& step : steps) model.run(step);
    model.check_all();
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace countersign::storage
