#include "storage/sqlite/known_devices.h"

#include "storage/sqlite/rows.h"

namespace countersign::storage {

Result<void> SqliteKnownDevices::create_device(const KnownDevice& device, std::size_t max_devices) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> inserted = connection.run(
        "INSERT INTO known_devices (token_hash, account, failures, created) VALUES (?, ?, ?, ?)",
        Blob{device.token_hash}, device.account.text(), device.failures, device.created);
    if (!inserted) return inserted.failure();
    // All but the newest ones, of which the new device is always one.
    const std::size_t others = max_devices > 0 ? max_devices - 1 : 0;
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM known_devices WHERE token_hash IN (SELECT token_hash FROM known_devices "
        "WHERE account = ? AND token_hash <> ? "
        "ORDER BY created DESC, token_hash DESC LIMIT -1 OFFSET ?)",
        device.account.text(), Blob{device.token_hash}, sql_limit(others));
    if (!removed) return removed.failure();
    return {};
  });
}

Result<bool> SqliteKnownDevices::reserve_try(std::string_view token_hash, const AccountId& account,
                                             std::uint32_t max_failures) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<bool> {
    Result<std::int64_t> counted = connection.run(
        "UPDATE known_devices SET failures = failures + 1 "
        "WHERE token_hash = ? AND account = ? AND failures < ?",
        Blob{token_hash}, account.text(), max_failures);
    if (!counted) return counted.failure();
    return *counted == 1;
  });
}

Result<void> SqliteKnownDevices::give_back_try(std::string_view token_hash) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> given = connection.run(
        "UPDATE known_devices SET failures = failures - 1 WHERE token_hash = ? AND failures > 0",
        Blob{token_hash});
    if (!given) return given.failure();
    return {};
  });
}

Result<void> SqliteKnownDevices::clear_failures(std::string_view token_hash) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> cleared = connection.run(
        "UPDATE known_devices SET failures = 0 WHERE token_hash = ?", Blob{token_hash});
    if (!cleared) return cleared.failure();
    return {};
  });
}

}  // namespace countersign::storage
