// Sign-in sessions in SQLite, and the steps that end them inside other transactions.
// Thread-safety: SqliteSessions as Store; the functions as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_SESSIONS_H_
#define COUNTERSIGN_STORAGE_SQLITE_SESSIONS_H_

#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace countersign::storage {

class SqliteSessions final : public SessionStore {
 public:
  explicit SqliteSessions(Database& database) : database_(database) {}

  Result<std::vector<SessionHandle>> create_session(const SignInSession& session,
                                                    std::size_t max_sessions) override;
  Result<std::optional<SessionView>> find_session(std::string_view id_hash) override;
  Result<std::optional<SessionView>> find_session_by_handle(const SessionHandle& handle) override;
  Result<void> touch_sessions(std::span<const SessionHandle> handles, SystemTime seen) override;
  Result<void> renew_session(const SessionHandle& handle, std::string_view new_id_hash,
                             SystemTime authenticated) override;
  Result<bool> end_session(const SessionHandle& handle, std::string_view reason,
                           SystemTime now) override;
  Result<std::vector<SignInSession>> list_sessions(const AccountId& account) override;
  Result<std::size_t> end_expired_sessions(SystemTime idle_before, SystemTime created_before,
                                           std::size_t limit, SystemTime now) override;

 private:
  Database& database_;
};

/// Deletes the session (and, through the reference, its instances) and writes its revocation.
/// False if there was none.
Result<bool> end_one_session(Connection& connection, const SessionHandle& handle,
                             std::string_view reason, SystemTime now);
/// Ends every session of the account but `keep`; returns how many.
Result<std::size_t> end_account_sessions(Connection& connection, const AccountId& account,
                                         const SessionHandle& keep, std::string_view reason,
                                         SystemTime now);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_SESSIONS_H_
