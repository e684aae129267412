#include "base/http_url.h"

#include <algorithm>
#include <charconv>

namespace countersign::base {
namespace {

constexpr std::size_t kMaxUrlBytes = 2048;
constexpr std::size_t kMaxHostBytes = 253;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Labels of letters, digits and hyphens. A last label that begins with a digit makes it an IPv4
/// address, which has to be four plain decimal numbers.
bool is_name_or_v4(std::string_view host) {
  if (host.empty() || host.size() > kMaxHostBytes) return false;
  int labels = 0;
  bool numeric = true;
  std::string_view last;
  while (true) {
    const std::size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    if (!std::all_of(label.begin(), label.end(),
                     [](char c) { return is_digit(c) || is_letter(c) || c == '-'; })) {
      return false;
    }
    unsigned number = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
    numeric = numeric && error == std::errc() && end == label.data() + label.size() &&
              number <= 255 && (label.size() == 1 || label.front() != '0');
    ++labels;
    last = label;
    if (dot == std::string_view::npos) break;
    host.remove_prefix(dot + 1);
  }
  return is_digit(last.front()) ? numeric && labels == 4 : true;
}

bool is_v6(std::string_view host) {
  return host.find(':') != std::string_view::npos && host.size() <= 45 &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
         });
}

}  // namespace

std::optional<HttpUrl> parse_http_url(std::string_view text) {
  if (text.size() > kMaxUrlBytes) return std::nullopt;
  HttpUrl url;
  if (text.starts_with("https://")) {
    url.secure = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  const std::size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  const std::string_view rest = text.substr(authority_end);

  std::string_view host;
  std::string_view port;
  const bool bracketed = authority.starts_with('[');
  if (bracketed) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
  } else {
    const std::size_t colon = authority.find(':');
    host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  std::transform(host.begin(), host.end(), std::back_inserter(url.host), lower);
  if (bracketed ? !is_v6(url.host) : !is_name_or_v4(url.host)) return std::nullopt;

  url.port = url.secure ? 443 : 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    const char* const end = port.data() + port.size();
    const auto [stop, error] = std::from_chars(port.data(), end, url.port);
    if (error != std::errc() || stop != end || url.port == 0) return std::nullopt;
  }

  const bool plain = std::all_of(rest.begin(), rest.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '#' && c != '\\' && c != '"' && c != '<' && c != '>';
  });
  if (!plain) return std::nullopt;
  url.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  return url;
}

}  // namespace countersign::base
