#include "gateway/hub.h"

#include <algorithm>
#include <string>
#include <utility>

#include <sodium.h>

namespace countersign::gateway {

using std::chrono::milliseconds;

// Who has just come in, as older connections on other shards are told.
struct HubShard::Newcomer {
  std::uint64_t order;
  std::string application;
  Identity identity;
  std::string device;
  std::string instance;
};

void HubShard::add(HubMember& member, base::Executor& shard) {
  executor_.store(&shard, std::memory_order_release);
  member.slot_ = static_cast<std::uint32_t>(members_.size());
  members_.push_back(&member);
  connections_.fetch_add(1, std::memory_order_relaxed);
  hub_.connections_gauge_.add(1);
  if (hub_.shutting_down()) {
    member.on_shutdown(hub_.clock_.steady(), hub_.options_.shutdown_return);
  }
}

void HubShard::remove(HubMember& member) {
  leave(member);
  HubMember* last = members_.back();
  members_[member.slot_] = last;
  last->slot_ = member.slot_;
  members_.pop_back();
  connections_.fetch_sub(1, std::memory_order_relaxed);
  hub_.connections_gauge_.add(-1);
}

void HubShard::set_key(HubMember& member, HubMember::Key key, std::uint64_t value) {
  std::uint64_t& present = member.keys_[key];
  if (present == value) return;
  if (present != 0) {
    const auto [begin, end] = by_key_.equal_range(present);
    const auto entry =
        std::find_if(begin, end, [&member](const auto& row) { return row.second == &member; });
    if (entry != end) by_key_.erase(entry);
  }
  present = value;
  if (value != 0) by_key_.emplace(value, &member);
}

Result<void> HubShard::enrol(HubMember& member) {
  const Membership& who = member.membership();
  const auto user = hub_.user_key(who.application(), who.identity_type(), who.endpoint());
  if (member.keys_[HubMember::kUser] == 0) {
    const auto [begin, end] = by_key_.equal_range(user);
    const auto others = std::count_if(
        begin, end, [&who](const auto& row) { return row.second->membership().same_user(who); });
    if (static_cast<std::size_t>(others) >= hub_.options_.max_connections_per_user) {
      return fail(ErrorCode::kLimitExceeded, "connections of one user");
    }
  }
  set_key(member, HubMember::kUser, user);
  set_key(member, HubMember::kInstance, hub_.hash({"instance", who.instance()}));
  set_key(member, HubMember::kSession,
          who.session().empty() ? 0 : hub_.hash({"session", who.session()}));
  set_key(member, HubMember::kWatched, 0);
  return {};
}

void HubShard::watch(HubMember& member, const base::SessionHandle& session) {
  set_key(member, HubMember::kWatched, hub_.hash({"session", session.text()}));
}

void HubShard::announce(HubMember& member) {
  const Membership& who = member.membership();
  member.order_ = hub_.next_order_.fetch_add(1, std::memory_order_relaxed);
  live_.fetch_add(1, std::memory_order_relaxed);
  hub_.live_gauge_.add(1);
  const auto newcomer = std::make_shared<const Newcomer>(
      Newcomer{member.order_, std::string(who.application()),
               Identity{who.identity_type(), std::string(who.endpoint())},
               std::string(who.device()), std::string(who.instance())});
  replace_older(*newcomer);
  hub_.on_every_shard([newcomer](HubShard& shard) { shard.replace_older(*newcomer); }, this);
}

void HubShard::leave(HubMember& member) {
  for (int key = 0; key < HubMember::kKeys; ++key) {
    set_key(member, static_cast<HubMember::Key>(key), 0);
  }
  if (member.order_ != 0) {
    live_.fetch_sub(1, std::memory_order_relaxed);
    hub_.live_gauge_.add(-1);
    member.order_ = 0;
  }
}

// The order decides, not the time of arrival: of two connections that come in on two shards at
// once, each hears of the other, and only the older goes.
void HubShard::replace_older(const Newcomer& newcomer) {
  const auto user =
      hub_.user_key(newcomer.application, newcomer.identity.type, newcomer.identity.endpoint);
  std::vector<HubMember*> older;
  const auto [begin, end] = by_key_.equal_range(user);
  for (auto row = begin; row != end; ++row) {
    HubMember* member = row->second;
    const Membership& who = member->membership();
    if (member->order_ != 0 && member->order_ < newcomer.order && who.device() == newcomer.device &&
        who.same_user(newcomer.application, newcomer.identity)) {
      older.push_back(member);
    }
  }
  for (HubMember* member : older) {
    member->on_replaced(member->membership().instance() == newcomer.instance);
  }
}

std::vector<HubMember*> HubShard::matching(const storage::Revocation& revocation) const {
  std::vector<HubMember*> found;
  const auto collect = [this, &found](std::uint64_t key, auto matches) {
    const auto [begin, end] = by_key_.equal_range(key);
    for (auto row = begin; row != end; ++row) {
      if (matches(*row->second)) found.push_back(row->second);
    }
  };
  switch (revocation.scope) {
    case storage::RevocationScope::kSession: {
      const std::string& session = revocation.session.text();
      const std::uint64_t key = hub_.hash({"session", session});
      collect(key, [&session, key](const HubMember& member) {
        return member.membership().session() == session || member.keys_[HubMember::kWatched] == key;
      });
      break;
    }
    case storage::RevocationScope::kIdentity:
      collect(hub_.user_key(revocation.application_key, revocation.identity.type,
                            revocation.identity.endpoint),
              [&revocation](const HubMember& member) {
                return member.membership().same_user(revocation.application_key,
                                                     revocation.identity);
              });
      break;
    case storage::RevocationScope::kInstance:
      collect(hub_.hash({"instance", revocation.instance.text()}),
              [&revocation](const HubMember& member) {
                return member.membership().instance() == revocation.instance.text();
              });
      break;
  }
  return found;
}

void HubShard::apply(std::span<const storage::Revocation> revocations) {
  for (const storage::Revocation& revocation : revocations) {
    for (HubMember* member : matching(revocation)) {
      // A session's ticket is judged by its session, which has a row of its own if it ended. A
      // ticket younger than the row is either from a new sign-in or from a producer whose clock is
      // ahead. The store can tell in both cases, so such a client is sent round through its checks.
      if (revocation.scope == storage::RevocationScope::kIdentity &&
          (!member->membership().session().empty() ||
           member->membership().ticket_created() > revocation.time)) {
        member->on_recheck();
        continue;
      }
      hub_.revoked_.add();
      member->on_revoked(revocation.reason);
    }
  }
}

void HubShard::shut_down(milliseconds spread) {
  const auto now = hub_.clock_.steady();
  const auto within = [this](milliseconds limit) {
    return milliseconds(hub_.random_.below(static_cast<std::uint32_t>(limit.count()) + 1));
  };
  const std::vector<HubMember*> members = members_;
  for (HubMember* member : members) {
    member->on_shutdown(now + within(spread), within(hub_.options_.shutdown_return));
  }
}

void HubShard::recheck() {
  const std::vector<HubMember*> members = members_;
  for (HubMember* member : members) member->on_recheck();
}

std::vector<base::SessionHandle> HubShard::sessions() const {
  std::vector<std::string_view> names;
  for (const HubMember* member : members_) {
    if (member->order_ != 0 && !member->membership().session().empty()) {
      names.push_back(member->membership().session());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<base::SessionHandle> handles;
  handles.reserve(names.size());
  for (const std::string_view name : names) handles.emplace_back(std::string(name));
  return handles;
}

Hub::Hub(HubOptions options, const base::Clock& clock, base::Random& random, base::Metrics& metrics)
    : options_(options),
      clock_(clock),
      random_(random),
      connections_gauge_(
          metrics.gauge("countersign_gateway_connections", "Open gateway connections.")),
      live_gauge_(
          metrics.gauge("countersign_gateway_clients", "Gateway connections whose client is in.")),
      revoked_(metrics.counter("countersign_gateway_revoked_total",
                               "Connections that a revocation has ended.")) {
  random_.fill(hash_key_);
  for (std::size_t i = 0; i < options_.shards; ++i) {
    shards_.push_back(std::make_unique<HubShard>(*this));
  }
}

Hub::~Hub() = default;

void Hub::on_every_shard(const std::function<void(HubShard&)>& task, const HubShard* except) {
  for (const auto& shard : shards_) {
    base::Executor* executor = shard->executor_.load(std::memory_order_acquire);
    if (executor == nullptr || shard.get() == except) continue;  // no connection there so far
    executor->post([task, shard = shard.get()] { task(*shard); });
  }
}

void Hub::on_revocations(std::span<const storage::Revocation> revocations) {
  if (revocations.empty()) return;
  const auto rows = std::make_shared<const std::vector<storage::Revocation>>(revocations.begin(),
                                                                             revocations.end());
  on_every_shard([rows](HubShard& shard) { shard.apply(*rows); });
}

void Hub::on_gap() {
  on_every_shard([](HubShard& shard) { shard.recheck(); });
}

void Hub::shut_down(milliseconds spread) {
  shutting_down_.store(true, std::memory_order_release);
  on_every_shard([spread](HubShard& shard) { shard.shut_down(spread); });
}

void Hub::live_sessions(std::function<void(std::vector<base::SessionHandle>)> take) {
  on_every_shard([take = std::move(take)](HubShard& shard) {
    auto sessions = shard.sessions();
    if (!sessions.empty()) take(std::move(sessions));
  });
}

void Hub::on_shards(const std::function<void(std::size_t shard)>& task) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    base::Executor* executor = shards_[i]->executor_.load(std::memory_order_acquire);
    if (executor != nullptr) executor->post([task, i] { task(i); });
  }
}

std::size_t Hub::connections() const {
  std::size_t sum = 0;
  for (const auto& shard : shards_) sum += shard->connections();
  return sum;
}

std::size_t Hub::live() const {
  std::size_t sum = 0;
  for (const auto& shard : shards_) sum += shard->live();
  return sum;
}

// SipHash with a random key, so that nobody can choose names that fall together. Never 0.
std::uint64_t Hub::hash(std::initializer_list<std::string_view> parts) const {
  std::string text;
  for (const std::string_view part : parts) {
    text.append(std::to_string(part.size())).append(":").append(part);
  }
  static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == 8);
  std::array<std::uint8_t, crypto_shorthash_BYTES> digest{};
  crypto_shorthash(digest.data(), reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                   hash_key_.data());
  std::uint64_t value = 0;
  for (const std::uint8_t byte : digest) value = value << 8 | byte;
  return value == 0 ? 1 : value;
}

std::uint64_t Hub::user_key(std::string_view application, IdentityType type,
                            std::string_view endpoint) const {
  return hash({"user", application, identity_type_name(type), endpoint});
}

}  // namespace countersign::gateway
