// Backup and restore, as the settings say where things are.
//
// A restored store is an older one. Whatever was given out since then must not fit it:
// positions, sign-ins and clients that were ended since, and tickets that a sign-out recalled. So a
// store begins anew before anybody serves it: another epoch, no sessions, no instances, and no
// ticket of before is taken.
// Thread-safety: for commands; one thread.
#ifndef COUNTERSIGN_APP_BACKUP_H_
#define COUNTERSIGN_APP_BACKUP_H_

#include <string>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/random.h"
#include "config/settings.h"
#include "storage/sqlite/backup.h"
#include "storage/store.h"

namespace countersign::app {

struct BackupReport {
  storage::BackupFacts facts;
  /// Files that belong to the store and are not in it: they are kept apart, each in its way.
  std::string master_key_file;
  std::string application_key_file;  ///< empty: the settings name the key
  std::string application_secret_file;
};

/// Copies the store into `file` while a server may use it.
/// @return kNotAvailable for PostgreSQL, naming its own way; else as back_up_sqlite().
Result<BackupReport> back_up(const config::Settings& settings, const std::string& file,
                             bool replace, const storage::Progress& progress);

/// What a store that begins anew has let go of.
struct NewBeginning {
  std::size_t sessions = 0;
  std::size_t instances_and_notes = 0;  ///< clients, and notes of tickets that were presented
};

/// Gives the store another epoch, ends all sessions and instances, and refuses tickets made until
/// now, whoever made them. May be repeated. kStoreFailed, kStoreFull.
Result<NewBeginning> begin_anew(storage::Store& store, base::Random& random);

struct RestoreReport {
  storage::BackupFacts facts;
  NewBeginning ended;
  std::string kept_as;  ///< what became of the store of before; empty: there was none
};

/// Puts the backup in the place of the store; `rehearse` does everything but that, and does it
/// beside a running server. The store of before is kept beside it.
/// @return kNotAvailable for PostgreSQL; kDataDirLocked while a server or another program uses the
/// store; kMasterKeyMismatch, kUnreadableFile for the master key; else as StagedBackup.
Result<RestoreReport> restore(const config::Settings& settings, const std::string& file,
                              bool rehearse, const storage::Progress& progress);

/// Lets a store that was put back by other means begin anew. Holds the data directory.
/// @return kDataDirLocked; as Core::open().
Result<NewBeginning> begin_anew_in_place(const config::Settings& settings);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_BACKUP_H_
