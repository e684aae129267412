// Backup and restore of the embedded store: a copy made while a server writes, and a copy put in
// the place of the store.
//
// A backup is one consistent moment, in one file without a write-ahead log. It is copied page by
// page within one reading transaction: nobody waits for it, and the log of the store grows by what
// is written meanwhile. It has an epoch of its own, so that positions given out by the store it was
// taken of never fit it, however it is put back.
//
// Whoever restores stages the file beside the store, changes what has to change there, and puts it
// in place in one step: killed at any moment, the store is the old one or the new one, whole.
// Thread-safety: pure functions on files. Source: https://www.sqlite.org/backup.html
#ifndef COUNTERSIGN_STORAGE_SQLITE_BACKUP_H_
#define COUNTERSIGN_STORAGE_SQLITE_BACKUP_H_

#include <cstdint>
#include <optional>
#include <string>

#include "countersign/result.h"

#include "base/clock.h"
#include "storage/sqlite/file_steps.h"
#include "storage/sqlite/sqlite_store.h"

namespace countersign::storage {

/// What a backup says of itself.
struct BackupFacts {
  std::int64_t bytes = 0;
  std::string schema;                     ///< the last step that was applied to it
  std::string master_key_id;              ///< empty: the store never had a master key
  std::optional<base::SystemTime> taken;  ///< nothing: made by other means than backup
};

struct BackupTarget {
  std::string path;
  bool replace = false;  ///< a file that is there already
  std::string epoch;     ///< what the copy's positions are told by
  base::SystemTime now;  ///< what the copy says when it was taken
  Progress progress;     ///< may be empty
};

/// Copies the store of `source` (path and vfs) into a file with mode 0600 that is checked, synced
/// and whole before it gets its name. The store is not migrated.
/// @return kAlreadyExists if the target is there, or another process makes it; kUsage if it is the
/// store itself; kUnreadableFile if the store is absent or the copy does not pass the check;
/// kUnwritableFile, kStoreFull, kStoreFailed; kSchemaMismatch as open_sqlite_store().
Result<BackupFacts> back_up_sqlite(const SqliteOptions& source, const BackupTarget& target);

/// A backup, copied to where it can be opened as a store and put in place. Goes with this object
/// unless it was put in place; what a killed process left behind is replaced.
class StagedBackup {
 public:
  /// Copies `file` (and a log beside it) to `staged` and checks it. `file` is not changed.
  /// @return kUnreadableFile if it cannot be read, is damaged or holds no store; kSchemaMismatch if
  /// it is newer than this program or another program's; kAlreadyExists if another process stages
  /// there; kUnwritableFile, kStoreFull.
  static Result<StagedBackup> stage(const std::string& file, const std::string& staged,
                                    const Progress& progress);

  const std::string& path() const { return copy_.path(); }
  const BackupFacts& facts() const { return facts_; }

  /// Makes it the store at `path`, and what was there, if anything was, `kept`. Nobody may have
  /// either open. True: something was kept.
  /// @return kDataDirLocked if somebody has the present store open; kUnwritableFile, kStoreFull,
  /// kStoreFailed.
  Result<bool> put_in_place(const std::string& path, const std::string& kept);

 private:
  StagedBackup(UnfinishedFile copy, BackupFacts facts)
      : copy_(std::move(copy)), facts_(std::move(facts)) {}

  UnfinishedFile copy_;
  BackupFacts facts_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_BACKUP_H_
