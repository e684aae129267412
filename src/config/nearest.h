// The nearest known word: for "did you mean".
// Thread-safety: a pure function.
#ifndef COUNTERSIGN_CONFIG_NEAREST_H_
#define COUNTERSIGN_CONFIG_NEAREST_H_

#include <optional>
#include <span>
#include <string_view>

namespace countersign::config {

/// The word of `known` with the smallest edit distance to `word`, if that is at most a third of
/// the word's length plus one; words equal behind the last dot come first.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

}  // namespace countersign::config

#endif  // COUNTERSIGN_CONFIG_NEAREST_H_
