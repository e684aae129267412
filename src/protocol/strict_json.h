// Strict JSON: RFC 8259 and nothing beside it, at most kMaxDepth deep, with a note of what a
// command may not hold although it is JSON. Thread-safety: pure functions.
#ifndef COUNTERSIGN_PROTOCOL_STRICT_JSON_H_
#define COUNTERSIGN_PROTOCOL_STRICT_JSON_H_

#include <optional>
#include <string_view>

#include <boost/json.hpp>

namespace countersign::protocol {

struct StrictJson {
  boost::json::value value;
  /// It holds U+0000, a lone surrogate (here replaced by U+FFFD), or a member that occurs twice.
  bool objectionable = false;
};

/// nullopt if the text is not JSON, is too deep, or has two members `id`: then there is nobody to
/// answer.
std::optional<StrictJson> read_strict_json(std::string_view text);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_STRICT_JSON_H_
