// Strong ids: text that names one kind of thing and cannot be mistaken for another.
// Thread-safety: value types.
#ifndef COUNTERSIGN_BASE_IDS_H_
#define COUNTERSIGN_BASE_IDS_H_

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace countersign::base {

template <class Tag>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(std::string text) : text_(std::move(text)) {}

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  std::string text_;
};

/// An account: 16 random bytes, base64url.
using AccountId = StrongId<struct AccountIdTag>;
/// The public, opaque handle of a sign-in session: 16 random bytes, base64url. It is not the
/// cookie and opens nothing; tickets carry it as their `session` member.
using SessionHandle = StrongId<struct SessionHandleTag>;
/// An instance at the gateway: 16 random bytes, base64url.
using InstanceId = StrongId<struct InstanceIdTag>;

}  // namespace countersign::base

template <class Tag>
struct std::hash<countersign::base::StrongId<Tag>> {
  std::size_t operator()(const countersign::base::StrongId<Tag>& id) const noexcept {
    return std::hash<std::string>()(id.text());
  }
};

#endif  // COUNTERSIGN_BASE_IDS_H_
