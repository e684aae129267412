// Property: whatever is accepted has exactly one @, no CR, LF, blank, quote or angle bracket, is a
// valid e-mail identity of at most 254 bytes, and reads as itself.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "countersign/identity.h"

#include "accounts/email.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace countersign;
  const auto email =
      accounts::parse_email(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!email) {
    require(email.code() == ErrorCode::kBadEmail);
    return 0;
  }
  const std::string& text = email->text;
  require(text.size() <= 254);
  require(std::count(text.begin(), text.end(), '@') == 1);
  require(text.find_first_of(std::string_view("\r\n\t \"<>\0", 8)) == std::string::npos);
  require(validate_identity({IdentityType::kEmail, text}, UserNameRule::kUtf8).ok());
  const auto again = accounts::parse_email(text);
  require(again.ok() && again->text == text && again->key == email->key);
  return 0;
}
