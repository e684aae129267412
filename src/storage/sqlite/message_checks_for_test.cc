#include "storage/sqlite/message_checks_for_test.h"

#include <memory>

#include "storage/conformance/message_table_checks.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {
std::string faults_of_tables(const std::string& path, const std::string& vfs) {
  ConnectionSettings settings;
  settings.path = path;
  settings.vfs = vfs;
  Result<std::unique_ptr<Connection>> connection = Connection::open(settings);
  if (!connection) return connection.error().detail;
  std::string faults;
  for (const TableCheck& check : message_table_checks()) {
    Result<Statement> statement = (*connection)->prepare(check.sql);
    if (!statement) return statement.error().detail;
    Result<bool> row = statement->step();
    if (!row) return row.error().detail;
    if (statement->integer(0) == 0) continue;
    faults += std::string(check.what) + ": " + std::to_string(statement->integer(0)) + "\n";
  }
  return faults;
}

}  // namespace countersign::storage
