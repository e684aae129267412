// The command `dev-certificate`.
// Exit status: 0 done; 1 it failed; 2 wrong usage or settings.
#ifndef COUNTERSIGN_CLI_CERTIFICATE_COMMAND_H_
#define COUNTERSIGN_CLI_CERTIFICATE_COMMAND_H_

#include <ostream>
#include <string>
#include <vector>

#include "cli/store_options.h"

namespace countersign::cli {

struct DevCertificateOptions {
  StoreOptions store;
  std::vector<std::string> names;  ///< besides the loopback names
  bool renew = false;              ///< make another one even if the present one is good
};

int run_dev_certificate(const DevCertificateOptions& options, std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_CERTIFICATE_COMMAND_H_
