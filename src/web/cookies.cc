#include "web/cookies.h"

#include <algorithm>

namespace countersign::web {
namespace {

constexpr std::size_t kMaxValueBytes = 512;

/// Ours are base64url tokens, some joined by dots: nothing else is one of ours.
bool is_value(std::string_view value) {
  return !value.empty() && value.size() <= kMaxValueBytes &&
         std::all_of(value.begin(), value.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string attributes(bool secure) {
  return secure ? "; Path=/; Secure; HttpOnly; SameSite=Lax" : "; Path=/; HttpOnly; SameSite=Lax";
}

}  // namespace

std::string_view cookie_name(Cookie cookie, bool secure) {
  switch (cookie) {
    case Cookie::kSession:
      return secure ? "__Host-cs_session" : "cs_session";
    case Cookie::kDevice:
      return secure ? "__Host-cs_device" : "cs_device";
    case Cookie::kPreSession:
      return secure ? "__Host-cs_pre" : "cs_pre";
  }
  return {};
}

std::string_view read_cookie(const net::Request& request, Cookie cookie, bool secure) {
  const std::string_view wanted = cookie_name(cookie, secure);
  std::string_view found;
  std::size_t times = 0;
  for (const net::Request::Field& field : request.fields) {
    if (field.name != "cookie") continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t semicolon = rest.find(';');
      const std::string_view pair = trim(rest.substr(0, semicolon));
      rest = semicolon == std::string_view::npos ? std::string_view() : rest.substr(semicolon + 1);
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos || trim(pair.substr(0, equals)) != wanted) continue;
      found = trim(pair.substr(equals + 1));
      ++times;
    }
  }
  return times == 1 && is_value(found) ? found : std::string_view();
}

std::string set_cookie(Cookie cookie, std::string_view value, bool secure,
                       std::optional<std::chrono::seconds> max_age) {
  std::string line(cookie_name(cookie, secure));
  line += '=';
  line += value;
  line += attributes(secure);
  if (max_age) line += "; Max-Age=" + std::to_string(max_age->count());
  return line;
}

std::string delete_cookie(Cookie cookie, bool secure) {
  return set_cookie(cookie, "", secure, std::chrono::seconds(0));
}

}  // namespace countersign::web
