// Small helpers for header values: blanks, case, comma lists.
// Thread-safety: pure functions. Source: RFC 9110 section 5.6.
#ifndef COUNTERSIGN_NET_TEXT_H_
#define COUNTERSIGN_NET_TEXT_H_

#include <algorithm>
#include <string_view>

namespace countersign::net {

inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return to_lower(x) == to_lower(y);
         });
}

/// Without spaces and tabs at both ends.
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `visit(item)` for each non-empty item of a comma-separated list.
template <class Visit>
void for_each_item(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto item = trim(list.substr(0, comma));
    if (!item.empty()) visit(item);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
  }
}

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_TEXT_H_
