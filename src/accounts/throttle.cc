#include "accounts/throttle.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/encoding.h"

namespace countersign::accounts {
namespace {

using base::SystemTime;
using storage::ThrottleCounter;

// The order of the counters of one attempt.
constexpr std::size_t kPair = 0;     // this account from this prefix
constexpr std::size_t kAccount = 1;  // this account from everywhere; window_start: last unlock
constexpr std::size_t kMinute = 2;   // this prefix, all accounts
constexpr std::size_t kHour = 3;
constexpr std::size_t kAccounts = 4;  // accounts tried from this prefix
// Of the pair, window_start is the kAccounts window it was last counted in.

std::array<std::string, 5> keys_of(const std::string& name, const std::string& prefix) {
  return {"pair:" + name + ":" + prefix, "account:" + name, "minute:" + prefix, "hour:" + prefix,
          "accounts:" + prefix};
}

/// Begins a new window if the counter's has ended (or lies in the future).
void roll(ThrottleCounter& counter, SystemTime now, std::chrono::seconds length) {
  if (now >= counter.window_start + length || now < counter.window_start) {
    counter.failures = 0;
    counter.window_start = now;
  }
}

/// True while the counter blocks. A block that ends later than the longest pause from now was set
/// by a clock that ran ahead and has been set right: it is over.
bool is_blocked(const ThrottleCounter& counter, SystemTime now, std::chrono::seconds longest) {
  return now < counter.blocked_until && counter.blocked_until <= now + longest;
}

/// True if an operator's unlock voids what the pair counted. Neither a mark nor a failure of a
/// clock that ran ahead may decide: the mark would void all that comes, the failure would outlast
/// the mark.
bool is_unlocked(const ThrottleCounter& pair, SystemTime unlocked, SystemTime now,
                 std::chrono::seconds tolerance) {
  if (unlocked == SystemTime{} || unlocked > now + tolerance) return false;
  return pair.last_failure <= unlocked || pair.last_failure > now + tolerance;
}

void take_one(ThrottleCounter& counter, SystemTime window) {
  if (counter.window_start == window && counter.failures > 0) --counter.failures;
}

/// The pause after so many failures of one account from one place.
std::chrono::seconds pause_after(std::uint32_t failures, const ThrottleOptions& options) {
  if (failures < options.free_failures) return std::chrono::seconds(0);
  const std::uint32_t doublings = std::min<std::uint32_t>(failures - options.free_failures, 20);
  return std::min(options.longest_pause, options.first_pause * (1u << doublings));
}

void count_pair(ThrottleCounter& pair, SystemTime now, const ThrottleOptions& options) {
  ++pair.failures;
  pair.last_failure = now;
  pair.blocked_until = now + pause_after(pair.failures, options);
}

/// Takes one counted failure back. `before` is what the counter was then: if no other failure came
/// since, its pause and its time are as they were, too; below `free` failures there is no pause.
void uncount(ThrottleCounter& counter, const ThrottleCounter& before, std::uint32_t free) {
  if (counter.failures > 0) --counter.failures;
  if (counter.failures < free) counter.blocked_until = {};
  if (counter.failures != before.failures) return;
  counter.last_failure = before.last_failure;
  counter.blocked_until = before.blocked_until;
}

void clear_failures(ThrottleCounter& counter) {
  counter.failures = 0;
  counter.blocked_until = {};
}

}  // namespace

Throttle::Throttle(storage::ThrottleStore& store, const base::Clock& clock, base::SecretBytes key,
                   ThrottleOptions options)
    : store_(store), clock_(clock), key_(std::move(key)), options_(options) {}

std::string Throttle::hide(std::string_view name) const {
  const base::Sha256 digest = base::hmac_sha256(key_.bytes(), name);
  return base::base64url_encode(std::span(digest).first(16));
}

Result<std::optional<Throttle::Reservation>> Throttle::reserve(std::string_view name,
                                                               std::string_view prefix) {
  const SystemTime now = clock_.now();
  Reservation reservation{hide(name), std::string(prefix), {}, {}, false, {}, {}};
  const auto keys = keys_of(reservation.name, reservation.prefix);
  const Result<bool> admitted = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    ThrottleCounter& pair = counters[kPair];
    ThrottleCounter& account = counters[kAccount];
    ThrottleCounter& minute = counters[kMinute];
    ThrottleCounter& hour = counters[kHour];
    ThrottleCounter& accounts = counters[kAccounts];

    const bool unlocked = is_unlocked(pair, account.window_start, now, options_.longest_pause);
    if (unlocked || now >= pair.last_failure + options_.forget_after) clear_failures(pair);
    if (now >= account.last_failure + options_.forget_after) clear_failures(account);
    roll(minute, now, std::chrono::minutes(1));
    roll(hour, now, std::chrono::hours(1));
    roll(accounts, now, std::chrono::hours(1));
    const bool new_account = pair.window_start != accounts.window_start;

    if (is_blocked(pair, now, options_.longest_pause) ||
        is_blocked(account, now, options_.account_pause) ||
        minute.failures >= options_.prefix_failures_per_minute ||
        hour.failures >= options_.prefix_failures_per_hour ||
        (new_account && accounts.failures >= options_.prefix_accounts_per_hour)) {
      return false;
    }

    reservation.pair = pair;
    reservation.account = account;
    count_pair(pair, now, options_);
    pair.window_start = accounts.window_start;
    ++account.failures;
    account.last_failure = now;
    if (account.failures >= options_.account_failures) {
      account.blocked_until = now + options_.account_pause;
    }
    ++minute.failures;
    minute.last_failure = now;
    ++hour.failures;
    hour.last_failure = now;
    if (new_account) ++accounts.failures;
    accounts.last_failure = now;

    reservation.minute_start = minute.window_start;
    reservation.hour_start = hour.window_start;
    reservation.new_account = new_account;
    return true;
  });
  if (!admitted) return admitted.failure();
  if (!*admitted) return std::optional<Reservation>();
  return std::optional<Reservation>(std::move(reservation));
}

Result<std::optional<Throttle::Reservation>> Throttle::reserve_proof(
    const base::AccountId& account) {
  const SystemTime now = clock_.now();
  const std::array<std::string, 1> keys{"proof:" + account.text()};
  ThrottleCounter before;
  const Result<bool> admitted = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    ThrottleCounter& proof = counters[0];
    if (now >= proof.last_failure + options_.forget_after) clear_failures(proof);
    if (is_blocked(proof, now, options_.longest_pause)) return false;
    before = proof;
    count_pair(proof, now, options_);
    return true;
  });
  if (!admitted) return admitted.failure();
  if (!*admitted) return std::optional<Reservation>();
  return std::optional<Reservation>(Reservation{account.text(), "", {}, {}, false, before, {}});
}

Result<void> Throttle::succeeded(const Reservation& reservation) {
  if (reservation.prefix.empty()) {
    const std::array<std::string, 1> keys{"proof:" + reservation.name};
    return store_.remove(keys);
  }
  const auto keys = keys_of(reservation.name, reservation.prefix);
  const Result<bool> done = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    if (reservation.new_account) {
      take_one(counters[kAccounts], counters[kPair].window_start);
      counters[kPair].window_start = {};
    }
    clear_failures(counters[kPair]);
    clear_failures(counters[kAccount]);
    take_one(counters[kMinute], reservation.minute_start);
    take_one(counters[kHour], reservation.hour_start);
    return true;
  });
  if (!done) return done.failure();
  return {};
}

Result<void> Throttle::take_back(const Reservation& reservation) {
  if (reservation.prefix.empty()) {
    const std::array<std::string, 1> keys{"proof:" + reservation.name};
    const Result<bool> done = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
      uncount(counters[0], reservation.pair, options_.free_failures);
      return true;
    });
    if (!done) return done.failure();
    return {};
  }
  const auto keys = keys_of(reservation.name, reservation.prefix);
  const Result<bool> done = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    if (reservation.new_account) {
      take_one(counters[kAccounts], counters[kPair].window_start);
      counters[kPair].window_start = {};
    }
    uncount(counters[kPair], reservation.pair, options_.free_failures);
    uncount(counters[kAccount], reservation.account, options_.account_failures);
    take_one(counters[kMinute], reservation.minute_start);
    take_one(counters[kHour], reservation.hour_start);
    return true;
  });
  if (!done) return done.failure();
  return {};
}

Result<void> Throttle::clear(std::string_view name, std::string_view prefix) {
  const std::string hidden = hide(name);
  const std::array<std::string, 2> keys{"pair:" + hidden + ":" + std::string(prefix),
                                        "account:" + hidden};
  const Result<bool> done = store_.update(keys, [](std::span<ThrottleCounter> counters) {
    const bool changes = counters[0].failures != 0 || counters[1].failures != 0;
    clear_failures(counters[0]);
    clear_failures(counters[1]);
    return changes;
  });
  if (!done) return done.failure();
  return {};
}

Result<bool> Throttle::reserve_sign_up(std::string_view prefix) {
  const SystemTime now = clock_.now();
  const std::array<std::string, 2> keys{"sign_up:" + std::string(prefix),
                                        "taken_name:" + std::string(prefix)};
  return store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    roll(counters[0], now, std::chrono::hours(1));
    roll(counters[1], now, std::chrono::hours(1));
    if (counters[0].failures >= options_.sign_ups_per_hour ||
        counters[1].failures >= options_.taken_names_per_hour) {
      return false;
    }
    ++counters[0].failures;
    counters[0].last_failure = now;
    return true;
  });
}

Result<void> Throttle::take_back_sign_up(std::string_view prefix, bool name_was_taken) {
  const SystemTime now = clock_.now();
  const std::array<std::string, 2> keys{"sign_up:" + std::string(prefix),
                                        "taken_name:" + std::string(prefix)};
  const Result<bool> done = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    if (counters[0].failures > 0) --counters[0].failures;
    if (name_was_taken) {
      roll(counters[1], now, std::chrono::hours(1));
      ++counters[1].failures;
      counters[1].last_failure = now;
    }
    return true;
  });
  if (!done) return done.failure();
  return {};
}

Result<void> Throttle::unlock(std::span<const std::string> names) {
  const SystemTime now = clock_.now();
  std::vector<std::string> keys;
  for (const std::string& name : names) keys.push_back("account:" + hide(name));
  const Result<bool> done = store_.update(keys, [&](std::span<ThrottleCounter> counters) {
    for (ThrottleCounter& account : counters) {
      clear_failures(account);
      // The counters of single prefixes cannot be listed; what they counted up to now is void.
      account.window_start = now;
      account.last_failure = now;
    }
    return true;
  });
  if (!done) return done.failure();
  return {};
}

Result<std::size_t> Throttle::sweep(std::size_t limit) {
  struct Kind {
    const char* prefix;
    std::chrono::seconds matters;
  };
  const std::array<Kind, 6> kinds{{
      {"minute:", std::chrono::minutes(1)},
      {"hour:", std::chrono::hours(1)},
      {"accounts:", std::chrono::hours(1)},
      {"sign_up:", std::chrono::hours(1)},
      {"taken_name:", std::chrono::hours(1)},
      {"", options_.forget_after},
  }};
  const SystemTime now = clock_.now();
  std::size_t removed = 0;
  for (const Kind& kind : kinds) {
    if (removed >= limit) break;
    Result<std::size_t> old = store_.remove_older(kind.prefix, now - kind.matters, limit - removed);
    if (!old) return old;
    removed += *old;
  }
  return removed;
}

}  // namespace countersign::accounts
