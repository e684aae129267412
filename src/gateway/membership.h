// Membership: who a connection is, packed. Ten thousand idle connections hold one each, so the six
// texts share one allocation.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_GATEWAY_MEMBERSHIP_H_
#define COUNTERSIGN_GATEWAY_MEMBERSHIP_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "countersign/identity.h"

#include "base/clock.h"
#include "storage/records.h"

namespace countersign::gateway {

class Membership {
 public:
  /// Nobody yet.
  Membership() = default;
  explicit Membership(const storage::Instance& instance);

  bool empty() const { return texts_ == nullptr; }
  std::string_view application() const { return text(kApplication); }
  IdentityType identity_type() const { return type_; }
  std::string_view endpoint() const { return text(kEndpoint); }
  std::string_view device() const { return text(kDevice); }
  /// Empty if the ticket named no session.
  std::string_view session() const { return text(kSession); }
  std::string_view instance() const { return text(kInstance); }
  /// `created` of the ticket the instance was last given.
  base::SystemTime ticket_created() const { return ticket_created_; }
  base::SystemTime expires() const { return expires_; }

  /// Application key, type and endpoint are equal, byte for byte.
  bool same_user(std::string_view application, const Identity& identity) const;
  bool same_user(const Membership& other) const;

 private:
  enum Part { kApplication, kEndpoint, kDevice, kSession, kInstance, kParts };
  std::string_view text(Part part) const;

  std::unique_ptr<char[]> texts_;
  std::array<std::uint16_t, kParts> ends_{};
  IdentityType type_ = IdentityType::kUsername;
  base::SystemTime ticket_created_;
  base::SystemTime expires_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MEMBERSHIP_H_
