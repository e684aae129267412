#include "storage/sqlite/meta.h"

#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

Result<std::optional<std::string>> find_value(Connection& connection, std::string_view name) {
  return find_row(connection, "SELECT value FROM meta WHERE name = ?", first_text, name);
}

}  // namespace

Result<std::optional<std::string>> SqliteMeta::get(std::string_view name) {
  return database_.read([&](Connection& connection) { return find_value(connection, name); });
}

Result<void> SqliteMeta::set(std::string_view name, std::string_view value) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> written = connection.run(
        "INSERT INTO meta (name, value) VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET value = excluded.value",
        name, value);
    if (!written) return written.failure();
    return {};
  });
}

Result<std::string> SqliteMeta::set_if_absent(std::string_view name, std::string_view value) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<std::string> {
    Result<std::int64_t> written = connection.run(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, value);
    if (!written) return written.failure();
    Result<std::optional<std::string>> stands = find_value(connection, name);
    if (!stands) return stands.failure();
    return stands->value_or(std::string(value));
  });
}

}  // namespace countersign::storage
