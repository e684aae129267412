#include "gateway/mailroom.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace countersign::gateway {

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

struct Mailbox {
  const storage::UserKey* user = nullptr;  // the key in the table
  std::unique_ptr<bus::Subscription> subscription;
  std::vector<MailroomMember*> members;
};

bool Mailroom::Order::operator()(const storage::UserKey& a, const storage::UserKey& b) const {
  return std::tie(a.application, a.identity.type, a.identity.endpoint) <
         std::tie(b.application, b.identity.type, b.identity.endpoint);
}

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
  if (member.box_ != nullptr) return;
  shard_ = &shard;
  const auto [row, made] = boxes_.try_emplace(user);
  if (made) {
    row->second = std::make_shared<Mailbox>();
    row->second->user = &row->first;
    auto subscribed =
        bus_.subscribe(user_subject(user.application, user.identity),
                       [&shard, token = token_,
                        box = std::weak_ptr<Mailbox>(row->second)](const bus::Payload& payload) {
                         shard.post([token, box, payload] {
                           const auto held = box.lock();
                           if (token->mailroom != nullptr && held)
                             token->mailroom->on_payload(held, *payload);
                         });
                       });
    if (subscribed) {
      row->second->subscription = *std::move(subscribed);
    } else {  // the sweep finds what it will not hear
      base::log_error("subscribe_failed", {{"detail", subscribed.error().detail}});
    }
  }
  row->second->members.push_back(&member);
  member.box_ = row->second.get();
}

void Mailroom::leave(MailroomMember& member) {
  Mailbox* const box = std::exchange(member.box_, nullptr);
  if (box == nullptr) return;
  std::erase(box->members, &member);
  if (!box->members.empty()) return;
  const auto row = boxes_.find(*box->user);
  row->second->subscription.reset();
  boxes_.erase(row);
}

// Members may leave, and go, when they or others hear something.
template <class Tell>
void Mailroom::tell(const std::shared_ptr<Mailbox>& box, Tell tell) {
  const std::vector<MailroomMember*> members = box->members;
  for (MailroomMember* member : members) {
    const auto& still = box->members;
    if (std::find(still.begin(), still.end(), member) != still.end()) tell(*member);
  }
}

void Mailroom::on_payload(const std::shared_ptr<Mailbox>& box, const std::string& payload) {
  if (box->members.empty()) return;
  const auto event = protocol::decode_user_event(payload);
  const bool foreign =
      event && (event->application != box->user->application || event->user != box->user->identity);
  if (foreign && !options_.trust_subjects) {
    metrics_.foreign.add();
    return;
  }
  (event ? metrics_.events : metrics_.unreadable).add();
  tell(box, [&](MailroomMember& member) {
    if (event) {
      member.on_user_event(*event);
    } else {
      member.on_news();
    }
  });
}

void Mailroom::on_gap() {
  metrics_.gaps.add();
  doubtful_ = true;
  for (const auto& box : everybody()) {
    tell(box, [](MailroomMember& member) { member.on_gap(); });
  }
}

std::vector<std::shared_ptr<Mailbox>> Mailroom::everybody() const {
  std::vector<std::shared_ptr<Mailbox>> all;
  for (const auto& [user, box] : boxes_) all.push_back(box);
  return all;
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
  std::vector<storage::UserKey> users;
  for (auto box = boxes_.upper_bound(asked_); users.size() < count; ++box) {
    if (box == boxes_.end()) box = boxes_.begin();
    users.push_back(box->first);
    if (users.size() == boxes_.size()) break;
  }
  const storage::UserKey last = users.back();
  asking_ = tasks_.try_submit(
      [&store = store_, shard = shard_, token = token_, users = std::move(users)]() mutable {
        auto tops = store.tops(users);
        auto epoch = store.epoch();
        shard->post(
            [token, users = std::move(users), tops = std::move(tops), epoch = std::move(epoch)] {
              if (token->mailroom != nullptr) token->mailroom->on_tops(users, tops, epoch);
            });
      });
  if (!asking_) return;  // no worker has room: it stays their turn
  asked_ = last;
  due_ -= static_cast<double>(count);
}

void Mailroom::on_tops(const std::vector<storage::UserKey>& users,
                       const Result<std::vector<std::int64_t>>& tops,
                       const Result<std::string>& epoch) {
  asking_ = false;
  if (!tops || !epoch || tops->size() != users.size()) {
    doubtful_ = true;
    return;
  }
  const bool renewed = !epoch_.empty() && epoch_ != *epoch;
  epoch_ = *epoch;
  for (std::size_t i = 0; i < users.size(); ++i) {
    const auto found = boxes_.find(users[i]);
    if (found == boxes_.end()) continue;
    bool behind = false;
    tell(std::shared_ptr(found->second), [&](MailroomMember& member) {
      behind = behind || member.pushed() < (*tops)[i];
      member.on_top((*tops)[i]);
    });
    if (behind) metrics_.behind.add();
  }
  ask_tops();
  if (!renewed) return;
  // Another store than before: nobody's place is certain.
  for (const auto& box : everybody()) {
    tell(box, [](MailroomMember& member) { member.on_news(); });
  }
}

}  // namespace countersign::gateway
