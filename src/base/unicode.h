// Unicode text: validity, NFC and the folded key under which names are unique.
// Thread-safety: pure functions. Source: UAX #15 (NFC), Unicode 3.13 (default case folding).
#ifndef COUNTERSIGN_BASE_UNICODE_H_
#define COUNTERSIGN_BASE_UNICODE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace countersign::base {

/// Normal form C; nullopt if `text` is not valid UTF-8 or holds U+0000.
std::optional<std::string> to_nfc(std::string_view text);
/// NFC, case-folded, NFC again: two spellings with the same key are one name. nullopt as above.
std::optional<std::string> fold_key(std::string_view text);
/// The same with compatibility forms made equal as well (NFKC): full-width "ａnn" is "ann".
std::optional<std::string> fold_compatible_key(std::string_view text);
/// Code points of valid UTF-8; nullopt if it is not valid.
std::optional<std::size_t> count_code_points(std::string_view text);

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_UNICODE_H_
