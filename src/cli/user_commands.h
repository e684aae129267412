// The commands `user add|list|disable|enable|sign-out|unlock`: an operator's hand on the accounts.
// They work beside a running server, which hears of everything through the store within 2 s.
// Exit status: 0 done; 1 it failed; 2 wrong usage or settings; 3 a file cannot be read.
#ifndef COUNTERSIGN_CLI_USER_COMMANDS_H_
#define COUNTERSIGN_CLI_USER_COMMANDS_H_

#include <istream>
#include <ostream>
#include <string>

#include "cli/store_options.h"

namespace countersign::cli {

struct UserAddOptions {
  StoreOptions store;
  std::string name;
  std::string email;
};

/// The password is the first line of `in`; at a terminal it is asked for twice, unseen.
int run_user_add(const UserAddOptions& options, std::istream& in, std::ostream& out,
                 std::ostream& err);
int run_user_list(const StoreOptions& options, std::ostream& out, std::ostream& err);

struct UserActOptions {
  StoreOptions store;
  std::string name;  ///< user name or e-mail address
};
int run_user_disable(const UserActOptions& options, bool disabled, std::ostream& out,
                     std::ostream& err);
int run_user_sign_out(const UserActOptions& options, std::ostream& out, std::ostream& err);
int run_user_unlock(const UserActOptions& options, std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_USER_COMMANDS_H_
