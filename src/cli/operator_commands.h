// The commands `app …`, `config …` and `migrate`.
// Exit status: 0 done; 1 it failed; 2 wrong usage or settings; 3 a file cannot be read.
#ifndef COUNTERSIGN_CLI_OPERATOR_COMMANDS_H_
#define COUNTERSIGN_CLI_OPERATOR_COMMANDS_H_

#include <ostream>
#include <string>

#include "app/store_choice.h"
#include "cli/store_options.h"

namespace countersign::cli {

int run_app_create(const StoreOptions& options, const std::string& name, std::ostream& out,
                   std::ostream& err);
int run_app_list(const StoreOptions& options, std::ostream& out, std::ostream& err);
int run_app_rotate_secret(const StoreOptions& options, const std::string& key, std::ostream& out,
                          std::ostream& err);
int run_app_retire_secret(const StoreOptions& options, const std::string& key,
                          const std::string& fingerprint, std::ostream& out, std::ostream& err);

int run_config_check(const StoreOptions& options, std::ostream& out, std::ostream& err);
int run_config_doc(bool markdown, std::ostream& out);
int run_migrate(const StoreOptions& options, app::MigrationMode mode, std::ostream& out,
                std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_OPERATOR_COMMANDS_H_
