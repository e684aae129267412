// Property: a path of the server API names one segment for each parameter; what a segment decodes
// to survives being escaped and decoded once more; users are valid identities; numbers keep in
// bounds.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "web/routes.h"
#include "web/server_api_text.h"

namespace {

using countersign::web::decode_path_segment;

void require(bool truth) {
  if (!truth) std::abort();
}

std::string escape(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    escaped += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return escaped;
}

void check_segment(std::string_view segment) {
  require(!segment.empty() && segment.find('/') == std::string_view::npos);
  const auto text = decode_path_segment(segment);
  if (!text) return;
  require(text->size() <= segment.size() && text->find('\0') == std::string::npos);
  require(decode_path_segment(escape(*text)).value() == *text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  const std::size_t mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  for (const std::string_view method : {"GET", "POST", "DELETE"}) {
    const auto match = countersign::web::find_route(method, path);
    if (match.route == nullptr) continue;
    std::size_t wanted = 0;
    for (const char c : match.route->path) wanted += c == '{' ? 1 : 0;
    for (std::size_t i = 0; i < wanted; ++i) check_segment(match.parameters[i]);
    if (wanted < 2) continue;
    const auto user = countersign::web::read_path_user(match.parameters);
    if (user) {
      require(countersign::validate_identity(*user, countersign::UserNameRule::kUtf8).ok());
    }
  }
  if (mark == std::string_view::npos) return 0;
  const auto query = countersign::web::read_api_query(target.substr(mark + 1));
  if (query) require(query->limit <= 10'000 && query->before >= 0 && query->after.size() <= 256);
  return 0;
}
