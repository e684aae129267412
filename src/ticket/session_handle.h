// The session handle: the one member that Countersign adds to the ticket format. It links a ticket
// to the sign-in it came from, so that signing out can end the ticket too. Source:
// docs/reference/ticket-format.md, "The session member".
#ifndef COUNTERSIGN_TICKET_SESSION_HANDLE_H_
#define COUNTERSIGN_TICKET_SESSION_HANDLE_H_

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace countersign {

inline constexpr std::size_t kMaxSessionHandleBytes = 64;

/// True for 1-64 of `A-Za-z0-9_-`.
inline bool is_session_handle(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxSessionHandleBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_SESSION_HANDLE_H_
