#include "storage/sqlite/sessions.h"

#include "storage/sqlite/revocations.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

const std::string kFindView = std::string("SELECT ") + kSessionColumns + ", " + kAccountColumns +
                              " FROM sessions s JOIN accounts a ON a.id = s.account WHERE ";
const std::string kFindByHash = kFindView + "s.id_hash = ?";
const std::string kFindByHandle = kFindView + "s.handle = ?";
const std::string kListByAccount = std::string("SELECT ") + kSessionColumns +
                                   " FROM sessions s WHERE s.account = ? "
                                   "ORDER BY s.created DESC, s.handle DESC";

SessionView read_view(const Statement& row) {
  return SessionView{read_session(row), read_account(row, kSessionColumnCount)};
}

SessionHandle read_handle(const Statement& row) { return SessionHandle(row.bytes(0)); }

/// Ends the sessions; returns how many there were.
Result<std::size_t> end_sessions(Connection& connection, std::span<const SessionHandle> handles,
                                 std::string_view reason, SystemTime now) {
  std::size_t ended = 0;
  for (const SessionHandle& handle : handles) {
    Result<bool> one = end_one_session(connection, handle, reason, now);
    if (!one) return one.failure();
    if (*one) ++ended;
  }
  return ended;
}

}  // namespace

Result<bool> end_one_session(Connection& connection, const SessionHandle& handle,
                             std::string_view reason, SystemTime now) {
  Result<std::int64_t> deleted =
      connection.run("DELETE FROM sessions WHERE handle = ?", handle.text());
  if (!deleted) return deleted.failure();
  if (*deleted == 0) return false;
  Revocation revocation;
  revocation.scope = RevocationScope::kSession;
  revocation.session = handle;
  revocation.reason = reason;
  revocation.time = now;
  if (Result<void> revoked = revoke(connection, revocation); !revoked) return revoked.failure();
  return true;
}

Result<std::size_t> end_account_sessions(Connection& connection, const AccountId& account,
                                         const SessionHandle& keep, std::string_view reason,
                                         SystemTime now) {
  Result<std::vector<SessionHandle>> handles = list_rows(
      connection, "SELECT handle FROM sessions WHERE account = ? AND handle <> ? ORDER BY handle",
      read_handle, account.text(), keep.text());
  if (!handles) return handles.failure();
  return end_sessions(connection, *handles, reason, now);
}

Result<std::vector<SessionHandle>> SqliteSessions::create_session(const SignInSession& session,
                                                                  std::size_t max_sessions) {
  using Handles = std::vector<SessionHandle>;
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<Handles> {
    Result<std::int64_t> inserted = connection.run(
        "INSERT INTO sessions (handle, id_hash, account, created, last_seen, authenticated, "
        "factors, address_prefix, agent, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        session.handle.text(), Blob{session.id_hash}, session.account.text(), session.created,
        session.last_seen, session.authenticated, session.factors, session.address_prefix,
        session.agent, session.epoch);
    if (!inserted) return inserted.failure();
    // All but the newest ones, of which the new session is always one.
    const std::size_t others = max_sessions > 0 ? max_sessions - 1 : 0;
    Result<Handles> excess =
        list_rows(connection,
                  "SELECT handle FROM sessions WHERE account = ? AND handle <> ? "
                  "ORDER BY created DESC, handle DESC LIMIT -1 OFFSET ?",
                  read_handle, session.account.text(), session.handle.text(), sql_limit(others));
    if (!excess) return excess.failure();
    Result<std::size_t> ended =
        end_sessions(connection, *excess, "too_many_sessions", session.created);
    if (!ended) return ended.failure();
    return excess;
  });
}

Result<std::optional<SessionView>> SqliteSessions::find_session(std::string_view id_hash) {
  return database_.read([&](Connection& connection) {
    return find_row(connection, kFindByHash.c_str(), read_view, Blob{id_hash});
  });
}

Result<std::optional<SessionView>> SqliteSessions::find_session_by_handle(
    const SessionHandle& handle) {
  return database_.read([&](Connection& connection) {
    return find_row(connection, kFindByHandle.c_str(), read_view, handle.text());
  });
}

Result<void> SqliteSessions::touch_sessions(std::span<const SessionHandle> handles,
                                            SystemTime seen) {
  if (handles.empty()) return {};
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    for (const SessionHandle& handle : handles) {
      Result<std::int64_t> touched =
          connection.run("UPDATE sessions SET last_seen = ?2 WHERE handle = ?1 AND last_seen < ?2",
                         handle.text(), seen);
      if (!touched) return touched.failure();
    }
    return {};
  });
}

Result<void> SqliteSessions::renew_session(const SessionHandle& handle,
                                           std::string_view new_id_hash, SystemTime authenticated) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> renewed =
        connection.run("UPDATE sessions SET id_hash = ?, authenticated = ? WHERE handle = ?",
                       Blob{new_id_hash}, authenticated, handle.text());
    if (!renewed) return renewed.failure();
    if (*renewed == 0) return fail(ErrorCode::kAbsent, "no such session");
    return {};
  });
}

Result<bool> SqliteSessions::end_session(const SessionHandle& handle, std::string_view reason,
                                         SystemTime now) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) {
    return end_one_session(connection, handle, reason, now);
  });
}

Result<std::vector<SignInSession>> SqliteSessions::list_sessions(const AccountId& account) {
  return database_.read([&](Connection& connection) {
    return list_rows(
        connection, kListByAccount.c_str(), [](const Statement& row) { return read_session(row); },
        account.text());
  });
}

Result<std::size_t> SqliteSessions::end_expired_sessions(SystemTime idle_before,
                                                         SystemTime created_before,
                                                         std::size_t limit, SystemTime now) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    Result<std::vector<SessionHandle>> expired = list_rows(
        connection, "SELECT handle FROM sessions WHERE last_seen < ? OR created < ? LIMIT ?",
        read_handle, idle_before, created_before, sql_limit(limit));
    if (!expired) return expired.failure();
    return end_sessions(connection, *expired, "expired", now);
  });
}

}  // namespace countersign::storage
