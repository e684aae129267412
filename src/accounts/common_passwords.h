// The embedded list of common passwords: src/accounts/common_passwords.txt, which
// tools/generate_common_passwords.py writes.
// Thread-safety: a pure function.
#ifndef COUNTERSIGN_ACCOUNTS_COMMON_PASSWORDS_H_
#define COUNTERSIGN_ACCOUNTS_COMMON_PASSWORDS_H_

#include <string_view>

namespace countersign::accounts {

/// One password a line, folded, at least 15 characters each. Lives as long as the program.
std::string_view common_passwords();

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_COMMON_PASSWORDS_H_
