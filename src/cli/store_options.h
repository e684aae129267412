// What every command that touches the store takes: where the settings come from.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_CLI_STORE_OPTIONS_H_
#define COUNTERSIGN_CLI_STORE_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "config/settings.h"

namespace countersign::cli {

struct StoreOptions {
  std::optional<std::string> config_file;
  config::Overrides overrides;  ///< of --data-dir, --listen, --set …
  bool json = false;

  Result<config::Settings> load() const {
    return config::load_settings(config_file, config::read_environment(), overrides);
  }
};

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_STORE_OPTIONS_H_
