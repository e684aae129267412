// The SHA-1 registration signature of legacy mobile SDKs, for migration tools that need to tell
// what an old client sent. It is an unkeyed hash over unseparated fields ("ab" + "c" and "a" + "bc"
// give the same), so it proves nothing: it is recognised here, and neither minted nor accepted
// anywhere. Thread-safety: a pure function. Source: docs/reference/ticket-format.md, "The SHA-1
// registration signature".
#ifndef COUNTERSIGN_REGISTRATION_SIGNATURE_H_
#define COUNTERSIGN_REGISTRATION_SIGNATURE_H_

#include <cstdint>
#include <string_view>

namespace countersign {

/// True if `signature` is base64(SHA-1(user id + application key + sequence + secret text)).
/// @param secret_text  the base64 text of the secret, which this format does not decode.
bool recognise_registration_signature(std::string_view user_id, std::string_view application_key,
                                      std::uint64_t sequence, std::string_view secret_text,
                                      std::string_view signature);

}  // namespace countersign

#endif  // COUNTERSIGN_REGISTRATION_SIGNATURE_H_
