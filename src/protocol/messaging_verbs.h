// Messaging verbs: their rows in the table of verbs, which say how the body of each is decoded.
// Thread-safety: pure functions. Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_PROTOCOL_MESSAGING_VERBS_H_
#define COUNTERSIGN_PROTOCOL_MESSAGING_VERBS_H_

#include <span>
#include <string_view>

#include <boost/json.hpp>

#include "protocol/command.h"

namespace countersign::protocol {

using Verb = decltype(Command::verb);

struct VerbRow {
  std::string_view name;
  Verb (*decode)(const boost::json::object& body);
};

std::span<const VerbRow> messaging_verbs();

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_MESSAGING_VERBS_H_
