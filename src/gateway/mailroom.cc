#include "gateway/mailroom.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace countersign::gateway {
namespace {

std::string key_of(std::string_view application, const Identity& user) {
  std::string key(application);
  key.push_back('\0');
  key.push_back(static_cast<char>('0' + static_cast<int>(user.type)));
  key.append(user.endpoint);
  return key;
}

}  // namespace

std::string user_subject(std::string_view application, const Identity& user) {
  return "u." + bus::subject_token({application, identity_type_name(user.type), user.endpoint});
}

MailroomMetrics::MailroomMetrics(base::Metrics& metrics)
    : events(metrics.counter("countersign_mailroom_events_total",
                             "Events of the bus that reached a connected user.")),
      foreign(metrics.counter("countersign_mailroom_foreign_total",
                              "Events that came under one user's subject and named another.")),
      unreadable(metrics.counter("countersign_mailroom_unreadable_total",
                                 "Events that could not be read; the store was read instead.")),
      gaps(metrics.counter("countersign_mailroom_gaps_total",
                           "Times that the bus may have lost events.")),
      behind(metrics.counter("countersign_mailroom_behind_total",
                             "Inboxes that a sweep found behind the store.")) {}

struct Mailroom::Token {
  Mailroom* mailroom = nullptr;
};

struct Mailroom::Mailbox {
  storage::UserKey user;
  std::unique_ptr<bus::Subscription> subscription;
  std::vector<MailroomMember*> members;
};

Mailroom::Mailroom(const MailroomOptions& options, bus::Bus& bus, storage::MessageStore& store,
                   TaskQueue& tasks, MailroomMetrics& metrics)
    : options_(options),
      bus_(bus),
      store_(store),
      tasks_(tasks),
      metrics_(metrics),
      token_(std::make_shared<Token>(Token{this})) {}

Mailroom::~Mailroom() {
  boxes_.clear();  // no handler runs afterwards
  token_->mailroom = nullptr;
}

void Mailroom::join(MailroomMember& member, const storage::UserKey& user, base::Executor& shard) {
  if (boxes_of_.contains(&member)) return;
  shard_ = &shard;
  std::string key = key_of(user.application, user.identity);
  auto& box = boxes_[key];
  if (!box) {
    box = std::make_unique<Mailbox>();
    box->user = user;
    auto subscribed = bus_.subscribe(user_subject(user.application, user.identity),
                                     [&shard, token = token_, key](const bus::Payload& payload) {
                                       shard.post([token, key, payload] {
                                         if (token->mailroom == nullptr) return;
                                         const auto found = token->mailroom->boxes_.find(key);
                                         if (found == token->mailroom->boxes_.end()) return;
                                         token->mailroom->on_payload(*found->second, *payload);
                                       });
                                     });
    if (subscribed) {
      box->subscription = *std::move(subscribed);
    } else {  // the sweep finds what it will not hear
      base::log_error("subscribe_failed", {{"detail", subscribed.error().detail}});
    }
  }
  box->members.push_back(&member);
  boxes_of_[&member] = box.get();
}

void Mailroom::leave(MailroomMember& member) {
  const auto entry = boxes_of_.find(&member);
  if (entry == boxes_of_.end()) return;
  Mailbox& box = *entry->second;
  boxes_of_.erase(entry);
  std::erase(box.members, &member);
  if (box.members.empty()) boxes_.erase(key_of(box.user.application, box.user.identity));
}

void Mailroom::on_payload(Mailbox& box, const std::string& payload) {
  // A member may leave, or close, when it hears something.
  const std::vector<MailroomMember*> members = box.members;
  const auto event = protocol::decode_user_event(payload);
  const bool foreign =
      event && (event->application != box.user.application || event->user != box.user.identity);
  if (foreign && !options_.trust_subjects) {
    metrics_.foreign.add();
    return;
  }
  (event ? metrics_.events : metrics_.unreadable).add();
  for (MailroomMember* member : members) {
    if (!boxes_of_.contains(member)) continue;
    if (event) {
      member->on_user_event(*event);
    } else {
      member->on_news();
    }
  }
}

void Mailroom::on_gap() {
  metrics_.gaps.add();
  doubtful_ = true;
}

// Goes round all users, each time for the share that the time passed makes due, so that everybody's
// turn comes once in a period, whoever comes and goes meanwhile.
void Mailroom::sweep(base::SteadyTime now) {
  if (asking_ || boxes_.empty()) return;
  const auto period = bus_.connected() ? options_.sweep_period : options_.away_period;
  const double users = static_cast<double>(boxes_.size());
  const std::chrono::duration<double> passed = now - swept_.value_or(now);
  swept_ = now;
  due_ = std::min(users, due_ + users * (passed / period));
  if (std::exchange(doubtful_, false)) due_ = users;
  ask_tops();
}

void Mailroom::ask_tops() {
  const std::size_t count = std::min(static_cast<std::size_t>(due_), options_.users_at_once);
  if (count == 0 || boxes_.empty()) return;
  due_ -= static_cast<double>(count);
  std::vector<std::string> names;
  std::vector<storage::UserKey> users;
  for (auto box = boxes_.upper_bound(asked_); names.size() < count; ++box) {
    if (box == boxes_.end()) box = boxes_.begin();
    names.push_back(box->first);
    users.push_back(box->second->user);
    if (names.size() == boxes_.size()) break;
  }
  asked_ = names.back();
  asking_ = tasks_.try_submit([&store = store_, shard = shard_, token = token_,
                               names = std::move(names), users = std::move(users)]() mutable {
    auto tops = store.tops(users);
    auto epoch = store.epoch();
    shard->post(
        [token, names = std::move(names), tops = std::move(tops), epoch = std::move(epoch)] {
          if (token->mailroom != nullptr) token->mailroom->on_tops(names, tops, epoch);
        });
  });
}

void Mailroom::on_tops(const std::vector<std::string>& names,
                       const Result<std::vector<std::int64_t>>& tops,
                       const Result<std::string>& epoch) {
  asking_ = false;
  if (!tops || !epoch || tops->size() != names.size()) {
    doubtful_ = true;
    return;
  }
  const bool renewed = !epoch_.empty() && epoch_ != *epoch;
  epoch_ = *epoch;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto box = boxes_.find(names[i]);
    if (box == boxes_.end()) continue;
    const std::vector<MailroomMember*> members = box->second->members;
    bool behind = false;
    for (MailroomMember* member : members) {
      if (!boxes_of_.contains(member)) continue;
      behind = behind || member->pushed() < (*tops)[i];
      member->on_top((*tops)[i]);
    }
    if (behind) metrics_.behind.add();
  }
  ask_tops();
  if (!renewed) return;
  // Another store than before: nobody's place is certain.
  std::vector<MailroomMember*> everybody;
  for (const auto& [member, box] : boxes_of_) {
    everybody.push_back(const_cast<MailroomMember*>(member));
  }
  for (MailroomMember* member : everybody) {
    if (boxes_of_.contains(member)) member->on_news();
  }
}

}  // namespace countersign::gateway
