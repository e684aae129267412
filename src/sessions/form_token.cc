#include "sessions/form_token.h"

#include "base/encoding.h"

namespace countersign::sessions {
namespace {

constexpr std::size_t kPreSessionBytes = 32;
constexpr std::size_t kPreSessionLength = 43;  // 32 bytes in base64url

}  // namespace

std::string form_token(std::string_view secret, std::string_view path) {
  const base::Sha256 key = base::hmac_sha256(base::as_bytes(secret), "form-token/1");
  return base::base64url_encode(base::hmac_sha256(key, path));
}

bool verify_form_token(std::string_view secret, std::string_view path, std::string_view token) {
  return !secret.empty() && base::equal_constant_time(form_token(secret, path), token);
}

std::string make_pre_session(base::Random& random) { return random.token(kPreSessionBytes); }

bool is_pre_session(std::string_view value) {
  return value.size() == kPreSessionLength && base::base64url_decode(value).has_value();
}

}  // namespace countersign::sessions
