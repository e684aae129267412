// Devices, watchers, and what is due of one user. The bus's side is in presence_table_bus.cc.
#include "gateway/presence_table.h"

#include <algorithm>
#include <cassert>

namespace countersign::gateway {
namespace {

// Watchers are told of these; "last seen" alone is no news.
bool same_news(const PresenceState& a, const PresenceState& b) {
  return a.state == b.state && a.devices == b.devices;
}

}  // namespace

PresenceTable::PresenceTable(PresenceOptions options, std::string node, PresenceTime now)
    : options_(options),
      node_(std::move(node)),
      version_(static_cast<std::uint64_t>(now.wall.time_since_epoch().count())),
      seen_(options_.max_seen) {}

// Devices.

PresenceActions PresenceTable::connect(ConnectionId connection, const storage::UserKey& key,
                                       std::string_view device, PresenceTime now) {
  User& user = open(key);
  const bool is_new = connections_.try_emplace(connection, Connection{&user, {}}).second;
  assert(is_new);
  static_cast<void>(is_new);
  const auto dropped = std::ranges::find_if(user.devices, [device](const Device& other) {
    return other.gone_at.has_value() && other.name == device;
  });
  if (dropped != user.devices.end()) {
    dropped->connection = connection;
    dropped->gone_at.reset();
  } else {
    user.devices.push_back({connection, std::string(device), false, std::nullopt});
  }
  remember(user, now.wall);
  PresenceActions out;
  settle(user, now, out);
  return out;
}

PresenceActions PresenceTable::disconnect(ConnectionId connection, bool clean, PresenceTime now) {
  PresenceActions out;
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return out;
  for (User* watched : found->second.watched) remove_watcher(connection, *watched, now, out);
  User& user = *found->second.user;
  connections_.erase(found);

  const auto device = std::ranges::find(user.devices, connection, &Device::connection);
  // A device that has connected again has not gone.
  const bool replaced = std::ranges::any_of(user.devices, [&](const Device& other) {
    return other.connection != connection && !other.gone_at && other.name == device->name;
  });
  if (clean || replaced) {
    user.devices.erase(device);
  } else {
    device->connection = 0;
    device->gone_at = now.steady + options_.grace;
    // Behind those that dropped before it.
    std::rotate(device, device + 1, user.devices.end());
    const auto dropped = std::ranges::count_if(user.devices, &Device::is_gone);
    if (static_cast<std::size_t>(dropped) > options_.max_dropped_devices) {
      user.devices.erase(std::ranges::find_if(user.devices, &Device::is_gone));
    }
  }
  remember(user, now.wall);
  settle(user, now, out);
  return out;
}

PresenceActions PresenceTable::set_away(ConnectionId connection, bool away, PresenceTime now) {
  PresenceActions out;
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return out;
  User& user = *found->second.user;
  std::ranges::find(user.devices, connection, &Device::connection)->away = away;
  remember(user, now.wall);
  settle(user, now, out);
  return out;
}

// Watchers.

Result<PresenceActions> PresenceTable::watch(ConnectionId connection,
                                             std::span<const Identity> users, PresenceTime now) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return fail(ErrorCode::kAbsent, "no such connection");
  std::vector<User*>& watched = found->second.watched;

  std::set<storage::UserKey, UserOrder> wanted;
  for (const Identity& identity : users) {
    storage::UserKey key{found->second.user->key.application, identity};
    const auto known = users_.find(key);
    if (known == users_.end() || !std::ranges::binary_search(watched, &known->second, ByKey())) {
      wanted.insert(std::move(key));
    }
  }
  if (watched.size() + wanted.size() > options_.max_watched) {
    return fail(ErrorCode::kLimitExceeded, "too many watched users");
  }
  if (watches_ + wanted.size() > options_.max_watches) {
    return fail(ErrorCode::kOverloaded, "too many presence watches");
  }

  PresenceActions out;
  for (const storage::UserKey& key : wanted) {
    User& user = open(key);
    if (user.watchers.empty()) {
      ++watched_users_;
      user.told = state_of(user, now.wall);
      user.questions = 0;
      user.at_least = 2;
      user.ask_at = now.steady;
      out.emplace_back(SubscribePresence{key});
    }
    user.watchers.push_back(connection);
    watched.insert(std::ranges::lower_bound(watched, &user, ByKey()), &user);
    ++watches_;
    settle(user, now, out);
  }
  return out;
}

PresenceActions PresenceTable::unwatch(ConnectionId connection, std::span<const Identity> users,
                                       PresenceTime now) {
  PresenceActions out;
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return out;
  std::vector<User*>& watched = found->second.watched;
  for (const Identity& identity : users) {
    const auto known = users_.find({found->second.user->key.application, identity});
    if (known == users_.end()) continue;
    const auto place = std::ranges::lower_bound(watched, &known->second, ByKey());
    if (place == watched.end() || *place != &known->second) continue;
    watched.erase(place);
    remove_watcher(connection, known->second, now, out);
  }
  return out;
}

PresenceState PresenceTable::look(const storage::UserKey& key, PresenceTime now) const {
  const auto found = users_.find(key);
  if (found == users_.end()) return {PresenceState::State::kOffline, 0, seen_.find(key)};
  return shown(found->second, now.wall);
}

NodePresence PresenceTable::here(const storage::UserKey& key, PresenceTime now) const {
  const auto found = users_.find(key);
  if (found == users_.end()) return {0, 0, seen_.find(key)};
  const User& user = found->second;
  const Counts own = own_devices(user);
  NodePresence here{own.first, own.second, user.seen};
  if (!std::ranges::all_of(user.devices, &Device::is_gone)) here.last_seen = now.wall;
  return here;
}

PresenceActions PresenceTable::tell_again(ConnectionId connection, PresenceTime now) const {
  PresenceActions out;
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return out;
  for (const User* user : found->second.watched) {
    out.emplace_back(PushPresence{user->key, shown(*user, now.wall), {connection}});
  }
  return out;
}

void PresenceTable::remove_watcher(ConnectionId connection, User& user, PresenceTime now,
                                   PresenceActions& out) {
  *std::ranges::find(user.watchers, connection) = user.watchers.back();
  user.watchers.pop_back();
  --watches_;
  if (user.watchers.empty()) {
    --watched_users_;
    user.words.clear();
    user.ask_at = base::SteadyTime::max();
    out.emplace_back(UnsubscribePresence{user.key});
  }
  settle(user, now, out);
}

// One user.

PresenceTable::User& PresenceTable::open(const storage::UserKey& key) {
  const auto [found, is_new] = users_.try_emplace(key, key);
  if (is_new) found->second.seen = seen_.find(key);
  return found->second;
}

void PresenceTable::remember(User& user, base::SystemTime seen) {
  user.seen = std::max(user.seen.value_or(seen), seen);
}

PresenceTable::Counts PresenceTable::own_devices(const User& user) {
  return {static_cast<std::uint32_t>(user.devices.size()),
          static_cast<std::uint32_t>(std::ranges::count_if(user.devices, &Device::away))};
}

PresenceState PresenceTable::state_of(const User& user, base::SystemTime wall) const {
  Counts counts = own_devices(user);
  const Counts others = user.words.devices();
  counts.first += others.first;
  counts.second += others.second;
  PresenceState state{state_of_devices(counts.first, counts.second), counts.first, user.seen};
  if (!std::ranges::all_of(user.devices, &Device::is_gone)) state.last_seen = wall;
  return state;
}

// Newcomers are shown what the other watchers were told, so that the next push fits them all.
PresenceState PresenceTable::shown(const User& user, base::SystemTime wall) const {
  PresenceState state = state_of(user, wall);
  if (!user.watchers.empty()) {
    state.state = user.told.state;
    state.devices = user.told.devices;
  }
  return state;
}

void PresenceTable::settle(User& user, PresenceTime now, PresenceActions& out) {
  std::erase_if(user.devices, [now](const Device& device) {
    return device.gone_at && *device.gone_at <= now.steady;
  });
  if (wants_to_say(user) && user.may_say <= now.steady) say(user, now, out);
  if (user.ask_at <= now.steady) ask(user, now, out);
  if (wants_to_push(user, now.wall) && user.may_push <= now.steady) push(user, now, out);

  due_.erase(&user);
  // Who comes and goes quickly is kept until the next word may be said.
  const bool idle = user.devices.empty() && user.watchers.empty() && !wants_to_say(user);
  if (idle && user.may_say <= now.steady) {
    if (user.seen) seen_.note(user.key, *user.seen);
    const storage::UserKey key = user.key;
    users_.erase(key);
    return;
  }
  user.due = user.ask_at;
  for (const Device& device : user.devices) {
    if (device.gone_at) user.due = std::min(user.due, *device.gone_at);
  }
  if (idle || wants_to_say(user)) user.due = std::min(user.due, user.may_say);
  if (wants_to_push(user, now.wall)) user.due = std::min(user.due, user.may_push);
  if (user.due != base::SteadyTime::max()) due_.insert(&user);
}

bool PresenceTable::wants_to_say(const User& user) {
  return user.owes_word || own_devices(user) != user.said;
}

void PresenceTable::say(User& user, PresenceTime now, PresenceActions& out) {
  const bool here = !std::ranges::all_of(user.devices, &Device::is_gone);
  if (here) remember(user, now.wall);
  user.said = own_devices(user);
  user.owes_word = false;
  user.may_say = now.steady + options_.interval;
  out.emplace_back(PublishPresence{
      user.key, {node_, ++version_, user.said.first, user.said.second, *user.seen}});
}

bool PresenceTable::wants_to_push(const User& user, base::SystemTime wall) const {
  return !user.watchers.empty() && !same_news(user.told, state_of(user, wall));
}

void PresenceTable::push(User& user, PresenceTime now, PresenceActions& out) {
  user.told = state_of(user, now.wall);
  user.may_push = now.steady + options_.interval;
  out.emplace_back(PushPresence{user.key, user.told, user.watchers});
}

PresenceActions PresenceTable::tick(PresenceTime now) {
  PresenceActions out;
  void_words(now, out);
  while (!due_.empty() && (*due_.begin())->due <= now.steady) {
    settle(**due_.begin(), now, out);
  }
  return out;
}

std::optional<base::SteadyTime> PresenceTable::next_deadline() const {
  base::SteadyTime next = base::SteadyTime::max();
  if (!due_.empty()) next = (*due_.begin())->due;
  for (const auto& [node, loss] : lost_nodes_) next = std::min(next, loss.until);
  if (bus_lost_) next = std::min(next, bus_lost_->until);
  if (next == base::SteadyTime::max()) return std::nullopt;
  return next;
}

}  // namespace countersign::gateway
