#include "gateway/presence_office.h"

#include <utility>
#include <variant>
#include <vector>

#include "protocol/conversation_messages.h"

namespace countersign::gateway {
namespace {

constexpr std::size_t kNodeNameBytes = 12;

std::string subject_of(const storage::UserKey& user) {
  return "p." + bus::subject_token({user.application, identity_type_name(user.identity.type),
                                    user.identity.endpoint});
}

protocol::PresenceView view_of(const Identity& user, const PresenceState& state) {
  using State = protocol::PresenceView::State;
  protocol::PresenceView view;
  view.user = &user;
  view.state = state.state == PresenceState::State::kOnline ? State::kOnline
               : state.state == PresenceState::State::kAway ? State::kAway
                                                            : State::kOffline;
  view.devices = state.devices;
  view.last_seen = state.last_seen;
  return view;
}

NodeLeaseOptions lease_options(const std::string& node) {
  NodeLeaseOptions options;
  options.node = node;
  return options;
}

}  // namespace

PresenceOffice::PresenceOffice(PresenceMode mode, PresenceOptions options,
                               storage::MessageStore& store, bus::Bus& bus,
                               MessagePublisher& publisher, const base::Clock& clock,
                               base::Random& random)
    : mode_(mode),
      store_(store),
      bus_(bus),
      publisher_(publisher),
      clock_(clock),
      node_(random.token(kNodeNameBytes)),
      table_(options, node_, now()),
      lease_(lease_options(node_), bus, *this, clock),
      inquiry_(
          {}, node_, bus, clock,
          [this](const storage::UserKey& user) {
            const std::lock_guard lock(mutex_);
            return table_.here(user, now());
          },
          [this] { return lease_.others(); }) {}

PresenceOffice::~PresenceOffice() { stop(); }

void PresenceOffice::start() {
  if (mode_ == PresenceMode::kOff) return;
  inquiry_.start();  // first: who holds a lease is asked
  lease_.start();
}

void PresenceOffice::stop() {
  lease_.stop();
  inquiry_.stop();
  std::map<std::string, std::unique_ptr<bus::Subscription>> ended;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    queue_.clear();
    pushes_.clear();
    if (!working_) ended.swap(subscriptions_);
  }
}

void PresenceOffice::carry_out(PresenceActions actions, std::unique_lock<std::mutex>& lock) {
  for (PresenceAction& action : actions) queue_.emplace_back(std::move(action));
  work_off(lock);
}

void PresenceOffice::work_off(std::unique_lock<std::mutex>& lock) {
  if (working_) return;  // who works on the queue finds what is new
  working_ = true;
  while (!queue_.empty() && !stopped_) {
    const Work work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    std::visit([this](const auto& what) { this->perform(what); }, work);
    lock.lock();
  }
  if (stopped_) queue_.clear();
  working_ = false;
}

void PresenceOffice::perform(const PresenceAction& action) {
  std::visit([this](const auto& what) { this->perform(what); }, action);
}

void PresenceOffice::perform(const PublishPresence& action) {
  const protocol::UserEvent event{action.user.application, action.user.identity, action.event};
  (void)bus_.publish(subject_of(action.user), protocol::encode_user_event(event));
}

void PresenceOffice::perform(const QueryPresence& action) {
  publisher_.publish({action.user.application, action.user.identity, protocol::PresenceQuery{}});
}

void PresenceOffice::perform(const SubscribePresence& action) {
  const std::string subject = subject_of(action.user);
  auto subscribed = bus_.subscribe(
      subject,
      [this, user = action.user](const bus::Payload& payload) { on_payload(user, *payload); });
  if (subscribed) subscriptions_[subject] = *std::move(subscribed);
}

void PresenceOffice::perform(const UnsubscribePresence& action) {
  subscriptions_.erase(subject_of(action.user));
}

void PresenceOffice::perform(const PushPresence& action) {
  const std::string push =
      protocol::encode_presence_push(view_of(action.user.identity, action.state));
  const std::string key = std::string(identity_type_name(action.user.identity.type)) + ' ' +
                          action.user.identity.endpoint;
  for (const ConnectionId watcher : action.watchers) {
    Push to;
    {
      const std::lock_guard lock(mutex_);
      const auto found = pushes_.find(watcher);
      if (found != pushes_.end()) to = found->second;
    }
    if (to) to(key, push);
  }
}

void PresenceOffice::on_payload(const storage::UserKey& user, const std::string& payload) {
  const auto event = protocol::decode_user_event(payload);
  if (!event || event->application != user.application || event->user != user.identity) return;
  const auto* word = std::get_if<protocol::PresenceEvent>(&event->what);
  if (word == nullptr) return;
  std::unique_lock lock(mutex_);
  carry_out(table_.on_event(user, *word, now()), lock);
}

void PresenceOffice::tick() {
  inquiry_.tick();
  std::unique_lock lock(mutex_);
  const auto next = table_.next_deadline();
  if (next && *next <= clock_.steady()) carry_out(table_.tick(now()), lock);
}

void PresenceOffice::on_gap() {
  const std::lock_guard lock(mutex_);
  table_.on_gap(now());
}

void PresenceOffice::on_query(const storage::UserKey& user) {
  std::unique_lock lock(mutex_);
  carry_out(table_.on_query(user, now()), lock);
}

void PresenceOffice::connect(ConnectionId connection, const storage::UserKey& user,
                             std::string_view device, Push push) {
  if (mode_ == PresenceMode::kOff) return;
  std::unique_lock lock(mutex_);
  pushes_[connection] = std::move(push);
  carry_out(table_.connect(connection, user, device, now()), lock);
}

void PresenceOffice::disconnect(ConnectionId connection, bool clean) {
  if (mode_ == PresenceMode::kOff) return;
  std::unique_lock lock(mutex_);
  if (pushes_.erase(connection) == 0) return;
  carry_out(table_.disconnect(connection, clean, now()), lock);
}

void PresenceOffice::tell_again(ConnectionId connection) {
  std::unique_lock lock(mutex_);
  carry_out(table_.tell_again(connection, now()), lock);
}

void PresenceOffice::watch(ConnectionId connection, const storage::UserKey& user, std::uint32_t id,
                           const protocol::WatchPresence& watch, Reply reply) {
  if (mode_ == PresenceMode::kOff) return reply(fail(ErrorCode::kNotAvailable, "presence is off"));
  if (!watch.watch) {
    std::unique_lock lock(mutex_);
    carry_out(table_.unwatch(connection, watch.users, now()), lock);
    lock.unlock();
    return reply(protocol::encode_unwatch_reply(id));
  }
  std::vector<bool> allowed(watch.users.size(), true);
  if (mode_ == PresenceMode::kContacts) {
    auto shared = store_.share_conversation(user, watch.users);
    if (!shared) return reply(shared.failure());
    allowed = *std::move(shared);
  }
  std::vector<Identity> watched;
  for (std::size_t i = 0; i < watch.users.size(); ++i) {
    allowed[i] = allowed[i] || watch.users[i] == user.identity;
    if (allowed[i]) watched.push_back(watch.users[i]);
  }
  std::unique_lock lock(mutex_);
  auto actions = table_.watch(connection, watched, now());
  if (!actions) {
    lock.unlock();
    return reply(actions.failure());
  }
  std::vector<PresenceState> states(watch.users.size());
  std::vector<protocol::PresenceView> views;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (allowed[i]) states[i] = table_.look({user.application, watch.users[i]}, now());
    views.push_back(view_of(watch.users[i], states[i]));
  }
  queue_.emplace_back([reply = std::move(reply), frame = protocol::encode_watch_reply(id, views)] {
    reply(frame);
  });
  carry_out(*std::move(actions), lock);
}

void PresenceOffice::ask(const storage::UserKey& user, PresenceInquiry::Done done) {
  if (mode_ == PresenceMode::kOff) return done(fail(ErrorCode::kNotAvailable, "presence is off"));
  inquiry_.ask(user, std::move(done));
}

Result<std::string> PresenceOffice::set(ConnectionId connection, std::uint32_t id,
                                        const protocol::SetPresence& set) {
  if (mode_ == PresenceMode::kOff) return fail(ErrorCode::kNotAvailable, "presence is off");
  std::unique_lock lock(mutex_);
  carry_out(table_.set_away(connection, set.away, now()), lock);
  return protocol::encode_set_presence_reply(id);
}

void PresenceOffice::on_node_back(const std::string& node) {
  const std::lock_guard lock(mutex_);
  table_.on_node_back(node, now());
}

void PresenceOffice::on_node_lost(const std::string& node) {
  const std::lock_guard lock(mutex_);
  table_.on_node_lost(node, now());
}

void PresenceOffice::on_bus_lost() {
  const std::lock_guard lock(mutex_);
  table_.on_bus_lost(now());
}

void PresenceOffice::on_bus_back() {
  const std::lock_guard lock(mutex_);
  table_.on_bus_back(now());
}

}  // namespace countersign::gateway
