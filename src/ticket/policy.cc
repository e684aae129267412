#include "countersign/policy.h"

namespace countersign {

std::string_view policy_name(PolicyName name) noexcept {
  return name == PolicyName::kStrict ? "strict" : "default";
}

std::optional<PolicyName> parse_policy_name(std::string_view text) noexcept {
  if (text == "default") return PolicyName::kDefault;
  if (text == "strict") return PolicyName::kStrict;
  return std::nullopt;
}

Policy Policy::default_policy() noexcept { return Policy{}; }

Policy Policy::strict() noexcept {
  Policy policy;
  policy.default_lifetime.reset();
  policy.accept_lower_case_key_member = false;
  policy.accept_string_lifetime = false;
  policy.accept_missing_zone = false;
  policy.ignore_unknown_members = false;
  policy.user_name_rule = UserNameRule::kPrintable;
  policy.max_jwt_lifetime = std::chrono::seconds{86400};
  policy.max_kid_distance = std::chrono::days{0};
  return policy;
}

Policy Policy::named(PolicyName name) noexcept {
  return name == PolicyName::kStrict ? strict() : default_policy();
}

}  // namespace countersign
