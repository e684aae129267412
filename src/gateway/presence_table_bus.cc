// The presence table's side towards the bus: words, questions, and nodes that have gone.
#include <algorithm>

#include "gateway/presence_table.h"

namespace countersign::gateway {
namespace {

// A word that this many questions in a row did not confirm holds no longer.
constexpr int kMaxQuestions = 3;

}  // namespace

PresenceActions PresenceTable::on_event(const storage::UserKey& key,
                                        const protocol::PresenceEvent& event, PresenceTime now) {
  PresenceActions out;
  if (event.node == node_) return out;
  const auto found = users_.find(key);
  if (found == users_.end() || found->second.watchers.empty()) return out;
  User& user = found->second;
  user.words.take(event);
  remember(user, std::min(event.last_seen, now.wall));  // clocks differ
  settle(user, now, out);
  return out;
}

PresenceActions PresenceTable::on_query(const storage::UserKey& key, PresenceTime now) {
  PresenceActions out;
  const auto found = users_.find(key);
  if (found == users_.end() || found->second.devices.empty()) return out;
  found->second.owes_word = true;
  settle(found->second, now, out);
  return out;
}

void PresenceTable::on_gap(PresenceTime now) {
  next_slot_ = std::max(next_slot_, now.steady);
  for (auto& [key, user] : users_) {
    if (user.watchers.empty()) continue;
    // Who waits for a question already is not put off: gaps may come often.
    if (user.questions == 0 && user.at_least > 1) continue;
    user.questions = 0;
    user.at_least = 2;
    user.ask_at = next_slot_;
    next_slot_ += options_.ask_spread;
    due_.erase(&user);
    user.due = std::min(user.due, user.ask_at);
    due_.insert(&user);
  }
}

void PresenceTable::on_bus_lost(PresenceTime now) {
  if (!bus_lost_) bus_lost_ = Loss{now.steady + options_.grace, now.wall};
}

void PresenceTable::on_bus_back(PresenceTime now) {
  bus_lost_.reset();
  on_gap(now);
}

void PresenceTable::on_node_lost(const std::string& node, PresenceTime now) {
  lost_nodes_.try_emplace(node, Loss{now.steady + options_.grace, now.wall});
}

void PresenceTable::on_node_back(const std::string& node, PresenceTime now) {
  lost_nodes_.erase(node);
  on_gap(now);
}

void PresenceTable::ask(User& user, PresenceTime now, PresenceActions& out) {
  const bool answered = user.questions >= user.at_least && user.words.confirmed();
  if (answered || user.questions == kMaxQuestions) {
    user.words.forget_doubted();
    user.questions = 0;
    user.at_least = 1;
    // With very many watched users each is asked about less often, not all together more often.
    user.ask_at =
        now.steady + std::max<std::chrono::milliseconds>(
                         options_.refresh, options_.ask_spread * static_cast<long>(watched_users_));
    return;
  }
  if (user.questions == 0) user.words.doubt();
  ++user.questions;
  user.ask_at = now.steady + options_.ask_again;
  out.emplace_back(QueryPresence{user.key});
}

void PresenceTable::void_words(PresenceTime now, PresenceActions& out) {
  const bool all = bus_lost_ && bus_lost_->until <= now.steady;
  std::map<std::string, Loss> lost;
  std::erase_if(lost_nodes_, [&](const auto& row) {
    if (row.second.until > now.steady) return false;
    lost.insert(row);
    return true;
  });
  if (!all && lost.empty()) return;
  const base::SystemTime bus_seen = all ? bus_lost_->seen : base::SystemTime();
  if (all) bus_lost_->until = base::SteadyTime::max();
  for (auto row = users_.begin(); row != users_.end();) {
    User& user = (row++)->second;  // settle() may forget it
    if (user.words.empty()) continue;
    for (const auto& [node, loss] : lost) {
      if (user.words.forget(node)) remember(user, loss.seen);
    }
    if (all) {
      if (user.words.devices().first > 0) remember(user, bus_seen);
      user.words.clear();
    }
    settle(user, now, out);
  }
}

}  // namespace countersign::gateway
