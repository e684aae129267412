// How commands end: exit statuses and the one line that says what went wrong.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_CLI_FAILURE_H_
#define COUNTERSIGN_CLI_FAILURE_H_

#include <ostream>

#include "countersign/result.h"

namespace countersign::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;      ///< the work failed, or the answer is no
inline constexpr int kExitUsage = 2;       ///< wrong command line or settings
inline constexpr int kExitUnreadable = 3;  ///< a file cannot be read, or holds no usable secret

/// Prints `countersign: TEXT: DETAIL` as one line and returns the exit status of the error.
int report(std::ostream& err, const Error& error);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_FAILURE_H_
