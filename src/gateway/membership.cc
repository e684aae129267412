#include "gateway/membership.h"

#include <algorithm>

namespace countersign::gateway {

Membership::Membership(const storage::Instance& instance)
    : type_(instance.identity.type),
      ticket_created_(instance.ticket_created),
      expires_(instance.expires) {
  const std::array<std::string_view, kParts> parts = {
      instance.application_key, instance.identity.endpoint, instance.device,
      instance.session ? std::string_view(instance.session->text()) : std::string_view(),
      instance.id.text()};
  std::size_t size = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    size += parts[i].size();
    ends_[i] = static_cast<std::uint16_t>(size);
  }
  texts_ = std::make_unique<char[]>(size);
  char* out = texts_.get();
  for (const std::string_view part : parts) out = std::copy(part.begin(), part.end(), out);
}

std::string_view Membership::text(Part part) const {
  if (empty()) return {};
  const std::size_t begin = part == 0 ? 0 : ends_[static_cast<std::size_t>(part) - 1];
  return {texts_.get() + begin, ends_[part] - begin};
}

bool Membership::same_user(std::string_view application, const Identity& identity) const {
  return !empty() && type_ == identity.type && this->application() == application &&
         endpoint() == identity.endpoint;
}

bool Membership::same_user(const Membership& other) const {
  return !empty() && !other.empty() && type_ == other.type_ &&
         application() == other.application() && endpoint() == other.endpoint();
}

}  // namespace countersign::gateway
