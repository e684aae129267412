#include "storage/postgres/sessions.h"

namespace countersign::storage::postgres {
namespace {

const std::string kFindView = std::string("SELECT ") + kSessionColumns + ", " + kAccountColumns +
                              " FROM sessions s JOIN accounts a ON a.id = s.account WHERE ";
const std::string kFindByHash = kFindView + "s.id_hash = $1";
const std::string kFindByHandle = kFindView + "s.handle = $1";
const std::string kListByAccount = std::string("SELECT ") + kSessionColumns +
                                   " FROM sessions s WHERE s.account = $1 "
                                   "ORDER BY s.created DESC, s.handle DESC";

SessionView read_view(const Row& row) {
  return SessionView{read_session(row), read_account(row, kSessionColumnCount)};
}

SessionHandle read_handle(const Row& row) { return SessionHandle(row.bytes(0)); }

}  // namespace

Result<std::vector<SessionHandle>> PostgresSessions::create_session(const SignInSession& session,
                                                                    std::size_t max_sessions) {
  Result<Rows> ended = database_.write(
      "SELECT * FROM create_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      session.handle.text(), Bytes{session.id_hash}, session.account.text(), session.created,
      session.last_seen, session.authenticated, session.factors, session.address_prefix,
      session.agent, session.epoch, sql_limit(max_sessions));
  if (!ended) return ended.failure();
  return ended->list(read_handle);
}

Result<std::optional<SessionView>> PostgresSessions::find_session(std::string_view id_hash) {
  Result<Rows> rows = database_.read(kFindByHash.c_str(), Bytes{id_hash});
  if (!rows) return rows.failure();
  return rows->find(read_view);
}

Result<std::optional<SessionView>> PostgresSessions::find_session_by_handle(
    const SessionHandle& handle) {
  Result<Rows> rows = database_.read(kFindByHandle.c_str(), handle.text());
  if (!rows) return rows.failure();
  return rows->find(read_view);
}

Result<void> PostgresSessions::touch_sessions(std::span<const SessionHandle> handles,
                                              SystemTime seen) {
  if (handles.empty()) return {};
  std::vector<std::string> texts;
  texts.reserve(handles.size());
  for (const SessionHandle& handle : handles) texts.push_back(handle.text());
  Result<Rows> touched = database_.write(
      "UPDATE sessions SET last_seen = $2 FROM (SELECT handle FROM sessions "
      "WHERE handle = ANY ($1) AND last_seen < $2 ORDER BY handle FOR NO KEY UPDATE) AS due "
      "WHERE sessions.handle = due.handle",
      texts, seen);
  if (!touched) return touched.failure();
  return {};
}

Result<void> PostgresSessions::renew_session(const SessionHandle& handle,
                                             std::string_view new_id_hash,
                                             SystemTime authenticated) {
  Result<Rows> renewed =
      database_.write("UPDATE sessions SET id_hash = $2, authenticated = $3 WHERE handle = $1",
                      handle.text(), Bytes{new_id_hash}, authenticated);
  if (!renewed) return renewed.failure();
  if (renewed->changed() == 0) return fail(ErrorCode::kAbsent, "no such session");
  return {};
}

Result<bool> PostgresSessions::end_session(const SessionHandle& handle, std::string_view reason,
                                           SystemTime now) {
  Result<Rows> ended =
      database_.write("SELECT * FROM end_sessions(ARRAY[$1], $2, $3)", handle.text(), reason, now);
  if (!ended) return ended.failure();
  return !ended->empty();
}

Result<std::vector<SignInSession>> PostgresSessions::list_sessions(const AccountId& account) {
  Result<Rows> rows = database_.read(kListByAccount.c_str(), account.text());
  if (!rows) return rows.failure();
  return rows->list([](const Row& row) { return read_session(row); });
}

Result<std::size_t> PostgresSessions::end_expired_sessions(SystemTime idle_before,
                                                           SystemTime created_before,
                                                           std::size_t limit, SystemTime now) {
  Result<Rows> ended = database_.write("SELECT * FROM end_expired_sessions($1, $2, $3, $4)",
                                       idle_before, created_before, sql_limit(limit), now);
  if (!ended) return ended.failure();
  return ended->size();
}

}  // namespace countersign::storage::postgres
