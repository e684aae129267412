#include "web/classic/classic_credential.h"

#include <memory>
#include <utility>
#include <vector>

#include "countersign/key_ring.h"
#include "countersign/signed_request.h"

#include "net/text.h"

namespace countersign::web::classic {

Result<Credential> read_credential(const net::Request& request) {
  if (request.count("authorization") > 1) {
    return fail(ErrorCode::kDuplicateHeader, "authorization");
  }
  const std::string_view header = request.header("authorization");
  const std::size_t blank = header.find(' ');
  if (blank == std::string_view::npos) {
    return fail(ErrorCode::kBadAuthorization, "no credential");
  }
  const std::string_view scheme = header.substr(0, blank);
  const std::string_view value = net::trim(header.substr(blank));
  if (value.empty() || value.find(' ') != std::string_view::npos) {
    return fail(ErrorCode::kBadAuthorization, "not one credential");
  }
  using Scheme = Credential::Scheme;
  if (net::equals_ignoring_case(scheme, "application")) {
    if (value.find(':') != std::string_view::npos) {
      return fail(ErrorCode::kBadAuthorization, "an application signs nothing here");
    }
    return Credential{Scheme::kApplication, value};
  }
  if (net::equals_ignoring_case(scheme, "user")) return Credential{Scheme::kUser, value};
  if (net::equals_ignoring_case(scheme, "instance")) {
    const std::size_t colon = value.find(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == value.size()) {
      return fail(ErrorCode::kBadAuthorization, "no signature");
    }
    return Credential{Scheme::kInstance, value.substr(0, colon)};
  }
  return fail(ErrorCode::kBadAuthorization, "no scheme of ours");
}

Result<void> verify_instance(const net::Request& request, std::string_view instance,
                             std::span<const std::string> secrets, std::string_view prefix,
                             const Policy& policy, base::SystemTime now) {
  KeyRing ring;
  for (const std::string& text : secrets) {
    Result<ApplicationSecret> secret = ApplicationSecret::from_base64(text);
    if (!secret) return secret.failure();
    if (auto added = ring.add(std::string(instance), *std::move(secret)); !added) return added;
  }
  std::vector<RequestHeader> headers;
  headers.reserve(request.fields.size());
  for (const auto& field : request.fields) headers.push_back({field.name, field.value});
  RequestRings rings;
  rings.instance = std::make_shared<const KeyRing>(std::move(ring));
  const RequestVerifier verifier(std::move(rings), policy);
  Result<VerifiedRequest> verified =
      verifier.verify({request.method, request.path, headers, request.body}, now);
  if (!verified && verified.code() == ErrorCode::kBadRequestSignature && !prefix.empty()) {
    const std::string path = std::string(prefix) + std::string(request.path);
    verified = verifier.verify({request.method, path, headers, request.body}, now);
  }
  if (!verified) return verified.failure();
  return {};
}

}  // namespace countersign::web::classic
