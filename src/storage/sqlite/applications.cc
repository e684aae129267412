#include "storage/sqlite/applications.h"

#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

StoredApplication read_application(const Statement& row) {
  return StoredApplication{row.bytes(0), row.bytes(1), row.time(2)};
}

StoredSecret read_secret(const Statement& row) {
  return StoredSecret{row.bytes(0), row.bytes(1), row.bytes(2),
                      row.bytes(3), row.flag(4),  row.time(5)};
}

Result<void> raise(Connection& connection) {
  Result<std::int64_t> raised =
      connection.run("UPDATE application_generation SET generation = generation + 1 WHERE id = 1");
  if (!raised) return raised.failure();
  return {};
}

Result<void> insert_secret(Connection& connection, const StoredSecret& secret) {
  if (secret.minting) {
    Result<std::int64_t> demoted = connection.run(
        "UPDATE application_secrets SET minting = 0 WHERE application_key = ? AND minting = 1",
        secret.application_key);
    if (!demoted) return demoted.failure();
  }
  Result<std::int64_t> inserted = connection.run(
      "INSERT INTO application_secrets (application_key, fingerprint, sealed, key_id, minting, "
      "created) VALUES (?, ?, ?, ?, ?, ?)",
      secret.application_key, secret.fingerprint, Blob{secret.sealed}, secret.key_id,
      secret.minting, secret.created);
  if (!inserted) return inserted.failure();
  return raise(connection);
}

}  // namespace

Result<void> SqliteApplications::create_application(const StoredApplication& application,
                                                    const StoredSecret& secret) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> inserted =
        connection.run("INSERT INTO applications (key, name, created) VALUES (?, ?, ?)",
                       application.key, application.name, application.created);
    if (!inserted) return inserted.failure();
    return insert_secret(connection, secret);
  });
}

Result<std::vector<StoredApplication>> SqliteApplications::list_applications() {
  return database_.read([](Connection& connection) {
    return list_rows(connection, "SELECT key, name, created FROM applications ORDER BY key",
                     read_application);
  });
}

Result<void> SqliteApplications::add_secret(const StoredSecret& secret) {
  return database_.write(WriteKind::kGrow,
                         [&](Connection& connection) { return insert_secret(connection, secret); });
}

Result<std::vector<StoredSecret>> SqliteApplications::list_secrets() {
  return database_.read([](Connection& connection) {
    return list_rows(connection,
                     "SELECT application_key, fingerprint, sealed, key_id, minting, created "
                     "FROM application_secrets ORDER BY application_key, created, fingerprint",
                     read_secret);
  });
}

Result<void> SqliteApplications::remove_secret(std::string_view application_key,
                                               std::string_view fingerprint) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    Result<std::optional<std::int64_t>> minting =
        find_row(connection,
                 "SELECT minting FROM application_secrets "
                 "WHERE application_key = ? AND fingerprint = ?",
                 first_integer, application_key, fingerprint);
    if (!minting) return minting.failure();
    if (!*minting) return fail(ErrorCode::kAbsent, "no such secret");
    if (**minting != 0) return fail(ErrorCode::kBadState, "the secret is the one that mints");
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM application_secrets WHERE application_key = ? AND fingerprint = ?",
        application_key, fingerprint);
    if (!removed) return removed.failure();
    return raise(connection);
  });
}

Result<std::int64_t> SqliteApplications::generation() {
  return database_.read([](Connection& connection) -> Result<std::int64_t> {
    Result<std::optional<std::int64_t>> generation = find_row(
        connection, "SELECT generation FROM application_generation WHERE id = 1", first_integer);
    if (!generation) return generation.failure();
    return generation->value_or(0);
  });
}

Result<void> SqliteApplications::raise_generation() {
  return database_.write(WriteKind::kGrow,
                         [](Connection& connection) { return raise(connection); });
}

}  // namespace countersign::storage
