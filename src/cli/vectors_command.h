// The command `vectors FILE`: runs a file of interop vectors against this build.
#ifndef COUNTERSIGN_CLI_VECTORS_COMMAND_H_
#define COUNTERSIGN_CLI_VECTORS_COMMAND_H_

#include <ostream>
#include <string>

namespace countersign::cli {

/// Prints each failure on a line of its own, and `N passed, M failed` at the end; both count
/// (vector, policy) pairs.
/// @return 0 if nothing failed, 1 if something did; 3 if the file cannot be read or is malformed,
///         with one line on `err`.
int run_vectors(const std::string& path, std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_VECTORS_COMMAND_H_
