#include "storage/postgres/known_devices.h"

namespace countersign::storage::postgres {

Result<void> PostgresKnownDevices::create_device(const KnownDevice& device,
                                                 std::size_t max_devices) {
  Result<Rows> made = database_.write("SELECT create_device($1, $2, $3, $4, $5)",
                                      Bytes{device.token_hash}, device.account.text(),
                                      device.failures, device.created, sql_limit(max_devices));
  if (!made) return made.failure();
  return {};
}

Result<bool> PostgresKnownDevices::reserve_try(std::string_view token_hash,
                                               const AccountId& account,
                                               std::uint32_t max_failures) {
  Result<Rows> counted = database_.write(
      "UPDATE known_devices SET failures = failures + 1 "
      "WHERE token_hash = $1 AND account = $2 AND failures < $3",
      Bytes{token_hash}, account.text(), max_failures);
  if (!counted) return counted.failure();
  return counted->changed() == 1;
}

Result<void> PostgresKnownDevices::give_back_try(std::string_view token_hash) {
  Result<Rows> given = database_.write(
      "UPDATE known_devices SET failures = failures - 1 WHERE token_hash = $1 AND failures > 0",
      Bytes{token_hash});
  if (!given) return given.failure();
  return {};
}

Result<void> PostgresKnownDevices::clear_failures(std::string_view token_hash) {
  Result<Rows> cleared = database_.write(
      "UPDATE known_devices SET failures = 0 WHERE token_hash = $1", Bytes{token_hash});
  if (!cleared) return cleared.failure();
  return {};
}

}  // namespace countersign::storage::postgres
