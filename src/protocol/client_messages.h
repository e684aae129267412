// Client messages: commands as text, for programs that speak to a gateway: tests, the simulation,
// benchmarks. The inverse of decode_message().
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_PROTOCOL_CLIENT_MESSAGES_H_
#define COUNTERSIGN_PROTOCOL_CLIENT_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/command.h"

namespace countersign::protocol {

/// `{"id":n,"<verb>":{…}}`. Precondition: the command is not Refused.
std::string encode_command(const Command& command);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_CLIENT_MESSAGES_H_
