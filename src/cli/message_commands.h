// The commands `user export`, `user erase-messages` and `callbacks list|replay`: an operator's hand
// on messages and on what the backend was not told. They work beside a running server.
// Exit status: 0 done; 1 it failed; 2 wrong usage or settings; 3 a file cannot be read.
#ifndef COUNTERSIGN_CLI_MESSAGE_COMMANDS_H_
#define COUNTERSIGN_CLI_MESSAGE_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "cli/store_options.h"

namespace countersign::cli {

struct UserMessagesOptions {
  StoreOptions store;
  /// TYPE:ENDPOINT; or user name or e-mail address of an account, which stands for all identities
  /// its tickets may name.
  std::string name;
  std::string application_key;  ///< empty: the default application
  bool yes = false;             ///< erase-messages does nothing without
};
/// Prints every message the user may read or has sent, a JSON object a line.
int run_user_export(const UserMessagesOptions& options, std::ostream& out, std::ostream& err);
int run_user_erase_messages(const UserMessagesOptions& options, std::ostream& out,
                            std::ostream& err);

/// Prints the dead letters, oldest first.
int run_callbacks_list(const StoreOptions& options, std::ostream& out, std::ostream& err);
/// Makes one of them, or all, wait again.
int run_callbacks_replay(const StoreOptions& options, std::optional<std::int64_t> id,
                         std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_MESSAGE_COMMANDS_H_
