// The command `serve`: builds the server from the settings and runs it until it is told to end.
// Exit status: 0 after SIGTERM or SIGINT; 1 it could not start; 2 settings; 3 a file or secret.
#ifndef COUNTERSIGN_CLI_SERVE_COMMAND_H_
#define COUNTERSIGN_CLI_SERVE_COMMAND_H_

#include <ostream>

#include "cli/store_options.h"

namespace countersign::cli {

/// Prints `ready http(s)://HOST:PORT` on `out` when it serves. SIGTERM and SIGINT drain and end it,
/// SIGHUP reads certificate and secrets again.
int run_serve(const StoreOptions& options, std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_SERVE_COMMAND_H_
