// Command generators: any command that can be written, for property tests.
#ifndef COUNTERSIGN_PROTOCOL_COMMAND_GENERATORS_H_
#define COUNTERSIGN_PROTOCOL_COMMAND_GENERATORS_H_

#include <cstddef>
#include <string>

#include <rapidcheck.h>

#include "protocol/command.h"

namespace countersign::protocol {

/// Text that JSON must escape in every way; valid UTF-8 without U+0000, 1 to `max` bytes.
rc::Gen<std::string> text(std::size_t max);
/// Printable ASCII without blank, 1 to kMaxIdBytes bytes.
rc::Gen<std::string> id_text();
rc::Gen<std::string> maybe(rc::Gen<std::string> gen);

/// Draws one; inside a property only.
Command any_command();

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_COMMAND_GENERATORS_H_
