// SessionService: sign-in sessions, from the cookie's point of view.
//
// The cookie holds 32 random bytes; the store holds their SHA-256 and a public handle, which
// tickets carry and which opens nothing. A session dies of half an hour without a request (a
// connected instance counts as one), of twelve hours of age, of its account's epoch (password
// change, sign-out everywhere, disabling), and of sign-out, and everything made from it dies with
// it. An account has at most ten; the oldest ends. Thread-safety: every call may be made from any
// thread. Calls block on the store and belong on a worker, except cached() and on_revocation().
// Source: OWASP ASVS 5.0 section 7.
#ifndef COUNTERSIGN_SESSIONS_SESSION_SERVICE_H_
#define COUNTERSIGN_SESSIONS_SESSION_SERVICE_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "sessions/session_cache.h"
#include "storage/store.h"

namespace countersign::sessions {

struct SessionOptions {
  std::chrono::seconds idle_limit = std::chrono::minutes(30);
  std::chrono::seconds absolute_limit = std::chrono::hours(12);
  std::size_t max_sessions = 10;
  /// How often activity is written at most, for each session.
  std::chrono::seconds touch_interval = std::chrono::minutes(1);
  std::chrono::milliseconds cache_validity{1000};
  std::size_t cache_entries = 65536;
};

/// Where a session begins. Texts for the list that its owner sees.
struct SessionOrigin {
  std::string address_prefix;
  std::string agent;  ///< family of the browser
  std::string factors = "password";
};

struct NewSession {
  std::string cookie_id;  ///< the cookie's value: a secret, kept nowhere else
  SessionCache::View view;
  std::size_t ended = 0;  ///< how many older ones it pushed out
};

/// The `agent` of sessions that `POST /api/auth` makes: they have no cookie, only a handle.
inline constexpr std::string_view kApiAgent = "api";

class SessionService {
 public:
  /// Everything outlives the service.
  SessionService(storage::Store& store, const base::Clock& clock, base::Random& random,
                 base::Metrics& metrics, SessionOptions options);

  /// Begins a session.
  Result<NewSession> create(const storage::Account& account, const SessionOrigin& origin);
  /// The session of tickets that were asked for with name and password and without a cookie. The
  /// account's latest one from the same place is used again while it still lives `at_least`, so
  /// that a page that asks often does not push out the person's other sessions.
  Result<SessionCache::View> api_session(const storage::Account& account,
                                         const std::string& address_prefix,
                                         std::chrono::seconds at_least);

  /// The live session of a cookie, if it was looked up within the last second; else null. No I/O:
  /// call it on the shard, and resolve() on a worker when it answers null.
  SessionCache::View cached(std::string_view cookie_id) const;
  /// The live session of a cookie; notes the activity. kNotSignedIn.
  Result<SessionCache::View> resolve(std::string_view cookie_id);
  /// The live session of a ticket's `session` member, or null. Always reads the store.
  Result<SessionCache::View> find_live(const base::SessionHandle& handle);
  /// Notes the activity of connected instances' sessions. Call at most once a touch_interval.
  Result<void> touch_connected(std::span<const base::SessionHandle> handles);

  /// Gives the session a new id and notes a full proof; the old id is dead at once.
  /// @return the cookie's new value; kAbsent if the session has ended.
  Result<std::string> renew(const storage::SessionView& view);
  /// Ends the session and everything made from it. False if there was none.
  Result<bool> end(const base::SessionHandle& handle, std::string_view reason);
  /// Ends one of the account's own sessions. kAbsent if it has none of this handle.
  Result<void> end_own(const base::AccountId& account, const base::SessionHandle& handle);
  /// The account's live sessions, newest first.
  Result<std::vector<storage::SignInSession>> list(const storage::Account& account);
  /// Ends what has outlived its limits, at most `limit`; returns how many. Run now and then.
  Result<std::size_t> sweep(std::size_t limit);

  /// A revocation that was polled from the store.
  void on_revocation(const storage::Revocation& revocation);
  /// Forgets everything cached, after an act on an account (password change, sign-out everywhere).
  void forget_cached() { cache_.clear(); }

  /// True while the session is within its limits, of its account's epoch, and that is not disabled.
  /// One that began or was seen more than a day after `now` is not.
  bool is_live(const storage::SessionView& view, base::SystemTime now) const;
  /// When the session ends at the latest.
  base::SystemTime absolute_end(const storage::SignInSession& session) const {
    return session.created + options_.absolute_limit;
  }
  const SessionOptions& options() const { return options_; }

 private:
  storage::Store& store_;
  const base::Clock& clock_;
  base::Random& random_;
  SessionOptions options_;
  SessionCache cache_;
  base::Counter& created_;
  base::Counter& ended_;
};

/// The stored form of a cookie's id; nothing if the cookie cannot be one.
std::optional<std::string> session_id_hash(std::string_view cookie_id);

}  // namespace countersign::sessions

#endif  // COUNTERSIGN_SESSIONS_SESSION_SERVICE_H_
