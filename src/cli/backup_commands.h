// The commands `backup` and `restore`.
// Exit status: 0 done; 1 it failed; 2 wrong usage or settings; 3 a file cannot be read.
#ifndef COUNTERSIGN_CLI_BACKUP_COMMANDS_H_
#define COUNTERSIGN_CLI_BACKUP_COMMANDS_H_

#include <ostream>
#include <string>

#include "cli/store_options.h"

namespace countersign::cli {

struct BackupOptions {
  StoreOptions store;
  std::string file;
  bool force = false;
};

struct RestoreOptions {
  StoreOptions store;
  std::string file;  ///< empty with `in_place`
  bool in_place = false;
  bool dry_run = false;
};

int run_backup(const BackupOptions& options, std::ostream& out, std::ostream& err);
int run_restore(const RestoreOptions& options, std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_BACKUP_COMMANDS_H_
