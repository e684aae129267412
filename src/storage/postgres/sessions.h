// Sign-in sessions in PostgreSQL.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_SESSIONS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_SESSIONS_H_

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresSessions final : public SessionStore {
 public:
  explicit PostgresSessions(Database& database) : database_(database) {}

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

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_SESSIONS_H_
