#include "app/backup.h"

#include <algorithm>
#include <array>
#include <memory>

#include "app/core.h"
#include "app/files.h"
#include "app/master_key.h"
#include "app/store_choice.h"
#include "base/encoding.h"

namespace countersign::app {
namespace {

constexpr std::size_t kBite = 500;
constexpr std::string_view kNativeWay =
    "the store is PostgreSQL: back it up and put it back with its own means (pg_basebackup with "
    "archived WAL, or pg_dump); then, before any node starts, run countersign restore --in-place "
    "(docs/operations/backup.md)";

std::string new_epoch(base::Random& random) {
  std::array<std::uint8_t, 16> bytes{};
  random.fill(bytes);
  return base::hex_encode(bytes);
}

/// Ends with this: a time after every session and instance.
constexpr base::SystemTime kEndOfTime{std::chrono::hours(24 * 365 * 1000)};

/// Calls `remove` until it finds less than it was allowed to remove; returns how many it removed.
template <class Remove>
Result<std::size_t> remove_all(Remove&& remove) {
  std::size_t all = 0;
  for (;;) {
    const Result<std::size_t> removed = remove();
    if (!removed) return removed.failure();
    all += *removed;
    if (*removed < kBite) return all;
  }
}

/// `PATH.before-restore-2026-01-02T03-04-05Z`, or the first name like it that is free.
std::string name_for_kept(const std::string& path, base::SystemTime now) {
  std::string time = base::format_rfc3339(now).substr(0, 19) + "Z";
  std::ranges::replace(time, ':', '-');
  const std::string name = path + ".before-restore-" + time;
  std::string free = name;
  for (int n = 2; storage::path_exists(free); ++n) free = name + "-" + std::to_string(n);
  return free;
}

/// Opens the staged store, which brings its schema up to date, checks that it is of our master key
/// and lets it begin anew.
Result<NewBeginning> prepare(const config::Settings& settings, const std::string& staged,
                             bool rehearse) {
  storage::SqliteOptions options;
  options.path = staged;
  options.readers = 1;
  options.reserve_bytes = 0;
  const auto store = storage::open_sqlite_store(options);
  if (!store) return store.failure();
  base::SystemRandom random;
  const auto known = (*store)->meta().get(kMasterKeyIdName);
  if (!known) return known.failure();
  // Without an id in the store any key fits, and a rehearsal makes none.
  if (*known || !rehearse) {
    const auto key = load_master_key(settings.master_key_file, (*store)->meta(), random);
    if (!key) return key.failure();
  }
  return begin_anew(**store, random);
}

}  // namespace

Result<BackupReport> back_up(const config::Settings& settings, const std::string& file,
                             bool replace, const storage::Progress& progress) {
  if (store_is_shared(settings)) return fail(ErrorCode::kNotAvailable, std::string(kNativeWay));
  base::SystemRandom random;
  const base::SystemClock clock;
  const storage::BackupTarget target{file, replace, new_epoch(random), clock.now(), progress};
  auto facts = storage::back_up_sqlite(sqlite_options(settings), target);
  if (!facts) return facts.failure();
  BackupReport report;
  report.facts = std::move(*facts);
  report.master_key_file = settings.master_key_file;
  if (settings.application_secret_file.empty()) {
    report.application_key_file = settings.data_dir + "/app.key";
    report.application_secret_file = settings.data_dir + "/app.secret";
  } else {
    report.application_secret_file = settings.application_secret_file;
  }
  return report;
}

Result<NewBeginning> begin_anew(storage::Store& store, base::Random& random) {
  const base::SystemClock machine;
  base::MonotonicWallClock clock(machine);
  // The store may remember a later time than the machine knows.
  const auto mark = read_time_mark(store.meta());
  if (!mark) return mark.failure();
  if (*mark) clock.raise_to(**mark);
  const auto stored_now = store.now();
  if (!stored_now) return stored_now.failure();
  const auto now = std::max(clock.now(), *stored_now);

  // In this order, so that whoever is killed in the middle and begins again has forgotten nothing.
  if (auto renewed = store.messages().renew_epoch(new_epoch(random)); !renewed) {
    return renewed.failure();
  }
  const auto refused =
      store.meta().set(storage::kTicketsAfterName, std::to_string(now.time_since_epoch().count()));
  if (!refused) return refused.failure();
  NewBeginning ended;
  const auto sessions = remove_all(
      [&] { return store.sessions().end_expired_sessions(kEndOfTime, kEndOfTime, kBite, now); });
  if (!sessions) return sessions.failure();
  ended.sessions = *sessions;
  const auto instances =
      remove_all([&] { return store.instances().remove_expired(kEndOfTime, kBite); });
  if (!instances) return instances.failure();
  ended.instances_and_notes = *instances;
  return ended;
}

Result<RestoreReport> restore(const config::Settings& settings, const std::string& file,
                              bool rehearse, const storage::Progress& progress) {
  if (store_is_shared(settings)) return fail(ErrorCode::kNotAvailable, std::string(kNativeWay));
  const std::string path = sqlite_options(settings).path;
  if (storage::same_file(file, path)) {
    return fail(ErrorCode::kUsage, file + " is the store itself");
  }
  if (auto made = make_data_directory(settings.data_dir); !made) return made.failure();
  std::optional<DataDirectoryLock> serving;
  std::optional<DataDirectoryLock> opening;
  if (!rehearse) {
    auto lock = DataDirectoryLock::take(settings.data_dir);
    if (!lock) return lock.failure();
    serving.emplace(std::move(*lock));
  }
  auto staged =
      storage::StagedBackup::stage(file, path + (rehearse ? ".rehearsal" : ".restoring"), progress);
  if (!staged) return staged.failure();
  RestoreReport report;
  const auto ended = prepare(settings, staged->path(), rehearse);
  if (!ended) return ended.failure();
  report.ended = *ended;
  report.facts = staged->facts();
  if (rehearse) return report;

  // From here on no command may open the store of before.
  auto lock = DataDirectoryLock::wait_to_open(settings.data_dir);
  if (!lock) return lock.failure();
  opening.emplace(std::move(*lock));
  const std::string kept = name_for_kept(path, base::SystemClock().now());
  const auto placed = staged->put_in_place(path, kept);
  if (!placed) return placed.failure();
  if (*placed) report.kept_as = kept;
  return report;
}

Result<NewBeginning> begin_anew_in_place(const config::Settings& settings) {
  if (!store_is_shared(settings)) {
    const std::string path = sqlite_options(settings).path;
    if (!storage::path_exists(path)) {
      return fail(ErrorCode::kUnreadableFile, storage::because_of(path, ENOENT));
    }
  }
  auto core = Core::open(settings, Core::Purpose::kServe);
  if (!core) return core.failure();
  return begin_anew((*core)->store(), (*core)->random());
}

}  // namespace countersign::app
