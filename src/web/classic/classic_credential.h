// Classic credentials: what the Authorization header of the classic SDK says, and whether a signed
// request was signed by the instance it names.
//
// The signature covers method, body, content type, timestamp and the path exactly as sent. It does
// not cover the query, which the SDK appends afterwards: what stands there is anybody's input.
// Thread-safety: pure functions.
// Source: docs/reference/classic-door.md, "Signed requests"; RFC 9110 section 11.4.
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_CREDENTIAL_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_CREDENTIAL_H_

#include <span>
#include <string>
#include <string_view>

#include "countersign/policy.h"
#include "countersign/result.h"

#include "base/clock.h"
#include "net/http_message.h"

namespace countersign::web::classic {

struct Credential {
  enum class Scheme { kApplication, kUser, kInstance };
  Scheme scheme = Scheme::kApplication;
  /// The application's key, the ticket, or the instance's id; of the request's own memory.
  std::string_view value;
};

/// Reads the one Authorization header. The scheme's name may have any case.
/// @return kDuplicateHeader; kBadAuthorization if there is none, or of no scheme that is known
/// here.
Result<Credential> read_credential(const net::Request& request);

/// Checks that `instance` signed the request with one of its secrets.
/// @param secrets  base64; empty if there is no such instance, which costs as much to find out.
/// @param prefix   what a proxy took away from the front of the path, or empty. Both paths are
///                 tried: not everybody comes through the proxy.
/// @return kDuplicateHeader, kBadAuthorization, kBadTimestamp, kBadRequestSignature.
Result<void> verify_instance(const net::Request& request, std::string_view instance,
                             std::span<const std::string> secrets, std::string_view prefix,
                             const Policy& policy, base::SystemTime now);

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_CREDENTIAL_H_
