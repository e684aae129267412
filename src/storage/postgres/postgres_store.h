// The store of a company: PostgreSQL, shared by any number of nodes.
//
// Acknowledged means committed: every session has synchronous_commit=on, the server must have fsync
// and full_page_writes, and a write has succeeded only when COMMIT was answered with COMMIT. A
// write is one flush of a pipeline. Sessions are pooled; a lost one fails its call with
// kStoreFailed (temporary, outcome unknown), the next call gets a new one, with pauses while none
// can be had. docs/operations/postgresql.md says what the operator does, docs/decisions/0007 why it
// is so. Thread-safety: as Store; every call may be made from any thread and blocks.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_POSTGRES_STORE_H_
#define COUNTERSIGN_STORAGE_POSTGRES_POSTGRES_STORE_H_

#include <chrono>
#include <memory>
#include <string>

#include "countersign/result.h"

#include "base/clock.h"
#include "storage/store.h"

namespace countersign::storage {

struct PostgresOptions {
  std::string url;  ///< postgresql://…, as libpq reads it; may hold a password
  /// Sessions at most, but for six that carry messages alone; further calls wait for one.
  std::size_t connections = 20;
  bool migrate = true;  ///< apply what is missing; else an older schema is kSchemaMismatch
  /// Notes when a migration was applied. Null: the machine's clock.
  const base::Clock* clock = nullptr;
  std::chrono::milliseconds statement_timeout{10'000};  ///< of the server, for one statement
  std::chrono::milliseconds max_wait{5'000};            ///< for a session; then kOverloaded
  /// Takes a server with fsync or full_page_writes off. Never outside of tests.
  bool allow_unsafe_server_for_test = false;
  /// Takes a ROLLBACK for an answer to COMMIT: shows what the tests must catch. Likewise.
  bool ignore_commit_tag_for_test = false;
};

/// Opens the store, making its tables if need be.
/// @return kBadSetting if the URL or the server will not do (the detail says why);
/// kSchemaMismatch if the schema is newer than this program, another program's, or older and
/// `migrate` is off; kStoreFailed if the server cannot be reached. No detail holds a password.
Result<std::unique_ptr<Store>> open_postgres_store(const PostgresOptions& options);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_POSTGRES_POSTGRES_STORE_H_
