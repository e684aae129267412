#include "net/http_message.h"

#include <algorithm>

namespace countersign::net {

std::string_view Request::header(std::string_view lower_name) const {
  for (const auto& field : fields) {
    if (field.name == lower_name) return field.value;
  }
  return {};
}

std::size_t Request::count(std::string_view lower_name) const {
  return static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [&](const Field& field) { return field.name == lower_name; }));
}

}  // namespace countersign::net
