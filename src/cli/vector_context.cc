#include "cli/vector_context.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include <boost/json.hpp>

#include "countersign/application_secret.h"

namespace countersign::cli {
namespace {

namespace json = boost::json;

// Reads one number or switch of a policy into `slot`; absent members leave it as it is.
struct PolicyReader {
  const json::object& numbers;
  std::string_view fault = {};

  template <class Set>
  void integer(std::string_view name, Set set) {
    const json::value* const value = numbers.if_contains(name);
    if (value == nullptr) return;
    if (value->is_int64() && value->as_int64() >= 0) {
      set(value->as_int64());
    } else {
      fault = name;
    }
  }

  void flag(std::string_view name, bool& slot) {
    const json::value* const value = numbers.if_contains(name);
    if (value == nullptr) return;
    if (value->is_bool()) {
      slot = value->as_bool();
    } else {
      fault = name;
    }
  }
};

}  // namespace

Result<std::shared_ptr<const KeyRing>> read_keyring(const json::array& keyring) {
  KeyRing ring;
  for (const json::value& entry : keyring) {
    const json::value* const key =
        entry.is_object() ? entry.as_object().if_contains("key") : nullptr;
    const json::value* const text =
        entry.is_object() ? entry.as_object().if_contains("secret") : nullptr;
    if (key == nullptr || text == nullptr || !key->is_string() || !text->is_string()) {
      return fail(ErrorCode::kUnreadableFile, "an entry has no key or no secret");
    }
    Result<ApplicationSecret> secret = ApplicationSecret::from_base64(text->as_string());
    if (!secret) return std::move(secret).failure();
    Result<void> added = ring.add(std::string(key->as_string()), *std::move(secret));
    if (!added) return std::move(added).failure();
  }
  return std::make_shared<const KeyRing>(std::move(ring));
}

Result<Policy> read_policy(std::string_view name, const json::object& numbers) {
  Policy policy = Policy::named(parse_policy_name(name).value_or(PolicyName::kDefault));
  using std::chrono::seconds;
  PolicyReader reader{numbers};
  reader.integer("max_ticket",
                 [&](std::int64_t n) { policy.max_ticket_bytes = static_cast<std::size_t>(n); });
  reader.integer("skew", [&](std::int64_t n) { policy.clock_skew = seconds{n}; });
  if (const json::value* const lifetime = numbers.if_contains("default_lifetime");
      lifetime != nullptr && lifetime->is_null()) {
    policy.default_lifetime.reset();
  } else {
    reader.integer("default_lifetime",
                   [&](std::int64_t n) { policy.default_lifetime = seconds{n}; });
  }
  reader.integer("max_lifetime", [&](std::int64_t n) { policy.max_ticket_lifetime = seconds{n}; });
  reader.flag("lower_key_alias", policy.accept_lower_case_key_member);
  reader.flag("string_expires", policy.accept_string_lifetime);
  reader.flag("naive_utc", policy.accept_missing_zone);
  reader.flag("unknown_members", policy.ignore_unknown_members);
  if (const json::value* const rule = numbers.if_contains("username")) {
    if (*rule == "utf8") {
      policy.user_name_rule = UserNameRule::kUtf8;
    } else if (*rule == "printable") {
      policy.user_name_rule = UserNameRule::kPrintable;
    } else {
      reader.fault = "username";
    }
  }
  reader.integer("username_max",
                 [&](std::int64_t n) { policy.max_user_name_bytes = static_cast<std::size_t>(n); });
  reader.integer("max_jwt_lifetime", [&](std::int64_t n) { policy.max_jwt_lifetime = seconds{n}; });
  reader.integer("kid_days", [&](std::int64_t n) {
    policy.max_kid_distance = std::chrono::days{static_cast<std::chrono::days::rep>(n)};
  });
  if (!reader.fault.empty()) {
    return fail(ErrorCode::kUnreadableFile, "member " + std::string(reader.fault));
  }
  return policy;
}

}  // namespace countersign::cli
