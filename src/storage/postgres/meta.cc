#include "storage/postgres/meta.h"

namespace countersign::storage::postgres {
namespace {

constexpr const char* kFind = "SELECT value FROM meta WHERE name = $1";

std::string read_value(const Row& row) { return row.bytes(0); }

}  // namespace

Result<std::optional<std::string>> PostgresMeta::get(std::string_view name) {
  Result<Rows> rows = database_.read(kFind, name);
  if (!rows) return rows.failure();
  return rows->find(read_value);
}

Result<void> PostgresMeta::set(std::string_view name, std::string_view value) {
  Result<Rows> written = database_.write(
      "INSERT INTO meta (name, value) VALUES ($1, $2) "
      "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name, value);
  if (!written) return written.failure();
  return {};
}

Result<std::string> PostgresMeta::set_if_absent(std::string_view name, std::string_view value) {
  const std::vector<Query> queries = {
      Query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value),
      Query(kFind, name)};
  Result<std::vector<Rows>> answers = database_.write_all(queries);
  if (!answers) return answers.failure();
  return answers->back().find(read_value).value_or(std::string(value));
}

}  // namespace countersign::storage::postgres
