#include "storage/postgres/message_checks_for_test.h"

#include <memory>
#include <vector>

#include "storage/conformance/message_table_checks.h"
#include "storage/postgres/connection.h"

namespace countersign::storage::postgres {
namespace {

/// What only this store has.
constexpr TableCheck kQueues = {
    "callbacks that wait without a queue",
    "SELECT count(*) FROM callbacks c WHERE state = 1 AND NOT EXISTS (SELECT "
    "FROM callback_queues q WHERE q.application = c.application AND q.type = c.type "
    "AND q.endpoint = c.endpoint)"};

}  // namespace

std::string faults_of_tables(const std::string& url) {
  ConnectionSettings settings;
  settings.url = url;
  Result<std::unique_ptr<Connection>> connection = Connection::open(settings);
  if (!connection) return connection.error().detail;
  std::string faults;
  const auto common = message_table_checks();
  std::vector<TableCheck> checks(common.begin(), common.end());
  checks.push_back(kQueues);
  for (const TableCheck& check : checks) {
    const Query query(check.sql);
    Result<std::vector<Rows>> rows =
        (*connection)->run(std::span(&query, 1), Connection::Mode::kRead);
    if (!rows) return rows.error().detail;
    const std::int64_t count = rows->front().front().integer(0);
    if (count != 0) faults += std::string(check.what) + ": " + std::to_string(count) + "\n";
  }
  return faults;
}

}  // namespace countersign::storage::postgres
