#include "gateway/receipt_desk.h"

#include <algorithm>

#include "protocol/conversation_messages.h"

namespace countersign::gateway {
namespace {

// Names a member within a conversation; the type comes first and has no colon.
std::string member_key(const std::string& conversation, const Identity& member) {
  return conversation + ' ' + std::string(identity_type_name(member.type)) + ':' + member.endpoint;
}

}  // namespace

bool ReceiptDesk::KeyOrder::operator()(const Key& a, const Key& b) const {
  if (a.what != b.what) return a.what < b.what;
  if (a.user.type != b.user.type) return a.user.type < b.user.type;
  if (const int order = a.conversation.compare(b.conversation); order != 0) return order < 0;
  if (const int order = a.user.endpoint.compare(b.user.endpoint); order != 0) return order < 0;
  return a.application < b.application;
}

void ReceiptDesk::add(std::string_view application, const storage::Receipt& receipt,
                      base::SteadyTime now) {
  const storage::Horizon& horizon = receipt.horizon;
  if (!receipt.group) {
    return add_horizon(
        {std::string(application), horizon.conversation, horizon.member, What::kHorizon}, horizon,
        receipt.audience, now);
  }
  for (const Identity& sender : receipt.audience) {
    Row* row = open({std::string(application), horizon.conversation, sender, What::kCount}, now);
    if (row != nullptr) wait(*row, now);
  }
}

void ReceiptDesk::add_read(std::string_view application, const storage::Receipt& receipt,
                           base::SteadyTime now) {
  const storage::Horizon& horizon = receipt.horizon;
  add(application, receipt, now);
  add_horizon({std::string(application), horizon.conversation, horizon.member, What::kOwnHorizon},
              horizon, {horizon.member}, now);
}

void ReceiptDesk::add_horizon(Key key, const storage::Horizon& horizon,
                              const std::vector<Identity>& audience, base::SteadyTime now) {
  if (horizon.delivered <= 0 && horizon.read <= 0) return;
  Row* row = open(std::move(key), now);
  if (row == nullptr) return;
  State& state = row->second;
  if (horizon.delivered <= state.delivered && horizon.read <= state.read) return;
  state.delivered = std::max(state.delivered, horizon.delivered);
  state.read = std::max(state.read, horizon.read);
  for (const Identity& user : audience) {
    if (std::ranges::find(state.audience, user) == state.audience.end()) {
      state.audience.push_back(user);
    }
  }
  wait(*row, now);
}

DueReceipts ReceiptDesk::take(base::SteadyTime now) {
  DueReceipts out;
  forget(now);
  while (!waiting_.empty() && (*waiting_.begin())->second.due <= now) {
    Row& row = **waiting_.begin();
    waiting_.erase(waiting_.begin());
    const Key& key = row.first;
    State& state = row.second;
    if (key.what == What::kCount) {
      out.counts.push_back({{key.application, key.user}, key.conversation});
    } else {
      const protocol::LooseEvent event{
          protocol::LooseEvent::Kind::kReceipt, member_key(key.conversation, key.user),
          protocol::encode_receipts_push(key.conversation,
                                         {&key.user, state.delivered, state.read})};
      for (Identity& user : state.audience) {
        out.publications.push_back({{key.application, std::move(user)}, event});
      }
      state.audience = {};
    }
    state.waiting = false;
    state.may_publish = now + options_.interval;
    state.due = std::max(now + options_.remember, state.may_publish);
    remembered_.insert(&row);
  }
  return out;
}

ReceiptPublication ReceiptDesk::count_publication(std::string_view application,
                                                  const storage::GroupCount& count) {
  return {{std::string(application), count.sender},
          {protocol::LooseEvent::Kind::kReceipt, count.conversation,
           protocol::encode_receipt_counts_push(count.conversation, count.seq, count.delivered,
                                                count.read, count.members)}};
}

void ReceiptDesk::count_failed(const CountRequest& request, base::SteadyTime now) {
  Row* row = open(
      {request.sender.application, request.conversation, request.sender.identity, What::kCount},
      now);
  if (row == nullptr) return;
  row->second.may_publish = std::max(row->second.may_publish, now + options_.interval);
  wait(*row, now);
}

std::optional<base::SteadyTime> ReceiptDesk::next_deadline() const {
  // What is only remembered can be forgotten when next something happens.
  if (waiting_.empty()) return std::nullopt;
  return (*waiting_.begin())->second.due;
}

ReceiptDesk::Row* ReceiptDesk::open(Key key, base::SteadyTime now) {
  if (const auto found = rows_.find(key); found != rows_.end()) return &*found;
  forget(now);
  if (rows_.size() >= options_.max_rows) {
    if (remembered_.empty()) {
      ++dropped_;
      return nullptr;
    }
    erase_oldest_remembered();
  }
  return &*rows_.try_emplace(std::move(key)).first;
}

void ReceiptDesk::wait(Row& row, base::SteadyTime now) {
  State& state = row.second;
  if (state.waiting) return;
  remembered_.erase(&row);
  state.waiting = true;
  state.due = std::max(now, state.may_publish);
  waiting_.insert(&row);
}

void ReceiptDesk::forget(base::SteadyTime now) {
  while (!remembered_.empty() && (*remembered_.begin())->second.due <= now)
    erase_oldest_remembered();
}

void ReceiptDesk::erase_oldest_remembered() {
  const auto oldest = remembered_.begin();
  const auto row = rows_.find((*oldest)->first);
  remembered_.erase(oldest);
  rows_.erase(row);
}

}  // namespace countersign::gateway
