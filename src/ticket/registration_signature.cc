#include "countersign/registration_signature.h"

#include <string>

#include <openssl/crypto.h>

#include "ticket/base64.h"
#include "ticket/digest.h"
#include "ticket/mac_key.h"

namespace countersign {

bool recognise_registration_signature(std::string_view user_id, std::string_view application_key,
                                      std::uint64_t sequence, std::string_view secret_text,
                                      std::string_view signature) {
  std::string text;
  text.reserve(user_id.size() + application_key.size() + 20 + secret_text.size());
  text.append(user_id).append(application_key).append(std::to_string(sequence));
  text.append(secret_text);
  const auto sha1 = digest<20>("SHA1", text);
  OPENSSL_cleanse(text.data(), text.size());
  const std::string expected = base64::encode(
      base64::Variant::kStandard, {reinterpret_cast<const char*>(sha1.data()), sha1.size()});
  return equal_macs(as_bytes_of(expected), as_bytes_of(signature));
}

}  // namespace countersign
