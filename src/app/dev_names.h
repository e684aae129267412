// Names that a development certificate may carry: those that lead to this machine or its own
// network, wherever they are asked for. For every other name a real certificate is to be had.
// Thread-safety: pure functions. Source: RFC 6761 (localhost, test), RFC 6762 (local), RFC 8375
// (home.arpa), RFC 1918 and RFC 4193 (private addresses); ICANN reserved `internal` in 2024.
#ifndef COUNTERSIGN_APP_DEV_NAMES_H_
#define COUNTERSIGN_APP_DEV_NAMES_H_

#include <span>
#include <string>
#include <vector>

#include "countersign/result.h"

namespace countersign::app {

/// A name or an address of a certificate, in the form that certificates compare.
struct DevName {
  bool is_address = false;
  std::string text;  ///< lower case; an address in its shortest form

  bool operator==(const DevName&) const = default;
};

/// localhost, 127.0.0.1 and ::1, then what is asked for, each once. At most 16 more. kUsage with
/// the name that is refused: not a host name or address, a wildcard, or one of the wide world.
Result<std::vector<DevName>> dev_names(std::span<const std::string> more);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_DEV_NAMES_H_
