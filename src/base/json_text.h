// Writing JSON strings by hand, for the log and for flat answers on the hot path.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_BASE_JSON_TEXT_H_
#define COUNTERSIGN_BASE_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace countersign::base {

/// Appends `text` as a quoted JSON string (RFC 8259 section 7). Control characters, U+2028 and
/// U+2029 are escaped; bytes that are not UTF-8 become U+FFFD, so the output is always valid.
void append_json_string(std::string& out, std::string_view text);

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_JSON_TEXT_H_
