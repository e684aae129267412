#include "sessions/session_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"

namespace countersign::sessions {
namespace {

constexpr std::size_t kCookieIdBytes = 32;
constexpr std::size_t kCookieIdLength = 43;  // 32 bytes in base64url
constexpr std::size_t kHandleBytes = 16;
constexpr std::chrono::hours kAheadAtMost{24};

std::string hash_of(std::string_view cookie_id) { return base::to_string(base::sha256(cookie_id)); }

SessionCache::View make_view(storage::SignInSession session, storage::Account account) {
  return std::make_shared<const storage::SessionView>(
      storage::SessionView{std::move(session), std::move(account)});
}

}  // namespace

std::optional<std::string> session_id_hash(std::string_view cookie_id) {
  if (cookie_id.size() != kCookieIdLength) return std::nullopt;
  return hash_of(cookie_id);
}

SessionService::SessionService(storage::Store& store, const base::Clock& clock,
                               base::Random& random, base::Metrics& metrics, SessionOptions options)
    : store_(store),
      clock_(clock),
      random_(random),
      options_(options),
      cache_(clock, options.cache_validity, options.cache_entries),
      created_(metrics.counter("countersign_sessions_created_total", "Sign-in sessions begun")),
      ended_(metrics.counter("countersign_sessions_ended_total",
                             "Sign-in sessions ended by this process")) {}

Result<NewSession> SessionService::create(const storage::Account& account,
                                          const SessionOrigin& origin) {
  NewSession made;
  made.cookie_id = random_.token(kCookieIdBytes);
  storage::SignInSession session;
  session.id_hash = hash_of(made.cookie_id);
  session.handle = base::SessionHandle(random_.token(kHandleBytes));
  session.account = account.id;
  session.created = session.last_seen = session.authenticated = clock_.now();
  session.factors = origin.factors;
  session.address_prefix = origin.address_prefix;
  session.agent = origin.agent;
  session.epoch = account.epoch;

  const auto ended = store_.sessions().create_session(session, options_.max_sessions);
  if (!ended) return ended.failure();
  for (const base::SessionHandle& handle : *ended) {
    cache_.remove(handle);
    base::log_info("session_ended", {{"session", handle.text()}, {"reason", "too_many"}});
  }
  made.ended = ended->size();
  made.view = make_view(std::move(session), account);
  created_.add();
  ended_.add(static_cast<double>(made.ended));
  return made;
}

Result<SessionCache::View> SessionService::api_session(const storage::Account& account,
                                                       const std::string& address_prefix,
                                                       std::chrono::seconds at_least) {
  auto sessions = store_.sessions().list_sessions(account.id);
  if (!sessions) return sessions.failure();
  const base::SystemTime now = clock_.now();
  for (storage::SignInSession& session : *sessions) {
    if (session.agent != kApiAgent || session.address_prefix != address_prefix ||
        absolute_end(session) < now + at_least) {
      continue;
    }
    SessionCache::View view = make_view(session, account);
    if (!is_live(*view, now)) continue;
    const Result<void> touched =
        store_.sessions().touch_sessions(std::span(&session.handle, 1), now);
    if (!touched) return touched.failure();
    return view;
  }
  Result<NewSession> made = create(account, {address_prefix, std::string(kApiAgent), "password"});
  if (!made) return made.failure();
  return std::move(made->view);
}

SessionCache::View SessionService::cached(std::string_view cookie_id) const {
  const std::optional<std::string> id_hash = session_id_hash(cookie_id);
  if (!id_hash) return nullptr;
  SessionCache::View view = cache_.find(*id_hash);
  if (!view) return nullptr;
  const base::SystemTime now = clock_.now();
  // When activity is due to be written, or the session to be ended, resolve() has to do it.
  if (!is_live(*view, now) || now >= view->session.last_seen + options_.touch_interval) {
    return nullptr;
  }
  return view;
}

Result<SessionCache::View> SessionService::resolve(std::string_view cookie_id) {
  const std::optional<std::string> id_hash = session_id_hash(cookie_id);
  if (!id_hash) return fail(ErrorCode::kNotSignedIn, "not a session cookie");
  const SessionCache::ReadMark mark = cache_.begin_read();
  auto found = store_.sessions().find_session(*id_hash);
  if (!found) return found.failure();
  if (!*found) return fail(ErrorCode::kNotSignedIn, "no such session");
  storage::SessionView& session = **found;
  const base::SystemTime now = clock_.now();
  if (!is_live(session, now)) {
    // Its tickets and instances die with it, now rather than at the next sweep.
    const Result<bool> ended = end(session.session.handle, "expired");
    if (!ended) return ended.failure();
    return fail(ErrorCode::kNotSignedIn, "the session has ended");
  }
  if (now >= session.session.last_seen + options_.touch_interval) {
    const Result<void> touched =
        store_.sessions().touch_sessions(std::span(&session.session.handle, 1), now);
    // On a full disk people stay signed in, until the session's idle limit.
    if (!touched && touched.code() != ErrorCode::kStoreFull) return touched.failure();
    if (touched) session.session.last_seen = now;
  }
  SessionCache::View view = make_view(std::move(session.session), std::move(session.account));
  cache_.insert(mark, view);
  return view;
}

Result<SessionCache::View> SessionService::find_live(const base::SessionHandle& handle) {
  auto found = store_.sessions().find_session_by_handle(handle);
  if (!found) return found.failure();
  if (!*found || !is_live(**found, clock_.now())) return SessionCache::View();
  return make_view(std::move((*found)->session), std::move((*found)->account));
}

Result<void> SessionService::touch_connected(std::span<const base::SessionHandle> handles) {
  if (handles.empty()) return {};
  return store_.sessions().touch_sessions(handles, clock_.now());
}

Result<std::string> SessionService::renew(const storage::SessionView& view) {
  std::string cookie_id = random_.token(kCookieIdBytes);
  const Result<void> renewed =
      store_.sessions().renew_session(view.session.handle, hash_of(cookie_id), clock_.now());
  // Also after a failure: its outcome may be unknown.
  cache_.remove(view.session.id_hash);
  if (!renewed) return renewed.failure();
  return cookie_id;
}

Result<bool> SessionService::end(const base::SessionHandle& handle, std::string_view reason) {
  Result<bool> ended = store_.sessions().end_session(handle, reason, clock_.now());
  cache_.remove(handle);
  if (ended && *ended) {
    ended_.add();
    base::log_info("session_ended", {{"session", handle.text()}, {"reason", reason}});
  }
  return ended;
}

Result<void> SessionService::end_own(const base::AccountId& account,
                                     const base::SessionHandle& handle) {
  const auto found = store_.sessions().find_session_by_handle(handle);
  if (!found) return found.failure();
  if (!*found || (*found)->session.account != account) {
    return fail(ErrorCode::kAbsent, "the account has no such session");
  }
  const Result<bool> ended = end(handle, "ended_by_owner");
  if (!ended) return ended.failure();
  return {};
}

Result<std::vector<storage::SignInSession>> SessionService::list(const storage::Account& account) {
  auto sessions = store_.sessions().list_sessions(account.id);
  if (!sessions) return sessions;
  const base::SystemTime now = clock_.now();
  std::erase_if(*sessions, [&](const storage::SignInSession& session) {
    return !is_live({session, account}, now);
  });
  return sessions;
}

Result<std::size_t> SessionService::sweep(std::size_t limit) {
  const base::SystemTime now = clock_.now();
  Result<std::size_t> ended = store_.sessions().end_expired_sessions(
      now - options_.idle_limit, now - options_.absolute_limit, limit, now);
  if (ended) ended_.add(static_cast<double>(*ended));
  return ended;
}

void SessionService::on_revocation(const storage::Revocation& revocation) {
  switch (revocation.scope) {
    case storage::RevocationScope::kSession:
      cache_.remove(revocation.session);
      break;
    case storage::RevocationScope::kIdentity:
      // Its account's epoch was raised; which entries are that account's is not indexed. It is
      // rare, and costs each session one read.
      cache_.clear();
      break;
    case storage::RevocationScope::kInstance:
      break;
  }
}

bool SessionService::is_live(const storage::SessionView& view, base::SystemTime now) const {
  // Of a clock that ran ahead and was set right: such a session would outlive every limit.
  const base::SystemTime latest = now + kAheadAtMost;
  return !view.account.disabled && view.session.epoch >= view.account.epoch &&
         view.session.created <= latest && view.session.last_seen <= latest &&
         now < view.session.last_seen + options_.idle_limit &&
         now < view.session.created + options_.absolute_limit;
}

}  // namespace countersign::sessions
