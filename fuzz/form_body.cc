// Property: whatever the two decoders accept is UTF-8 without U+0000, and no field occurs twice.
#include "web/form_body.h"

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "base/unicode.h"

namespace {

void check(const countersign::Result<countersign::web::Fields>& decoded) {
  if (!decoded.ok()) return;
  std::set<std::string_view> names;
  for (const auto& field : decoded->all()) {
    if (!names.insert(field.name).second) std::abort();
    for (const std::string_view text :
         {std::string_view(field.name), std::string_view(field.value)}) {
      if (text.find('\0') != std::string_view::npos) std::abort();
      if (!countersign::base::count_code_points(text)) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  check(countersign::web::decode_form(body));
  check(countersign::web::decode_json_fields(body));
  return 0;
}
