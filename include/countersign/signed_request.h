// Signed requests and callbacks: HTTP requests whose Authorization header carries
// `scheme id:base64(HMAC-SHA256(secret, string-to-sign))`.
//
//     string-to-sign = METHOD LF content-md5 LF content-type LF "x-timestamp:" timestamp LF
//     resource
//
// MD5 is here because the format says so; what protects the request is the MAC over the digest.
// Thread-safety: value types; sign and verify may run concurrently on shared rings.
// Source: docs/reference/ticket-format.md, "Signed requests"; RFC 9110 (tokens, field names).
#ifndef COUNTERSIGN_SIGNED_REQUEST_H_
#define COUNTERSIGN_SIGNED_REQUEST_H_

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/replay_cache.h"
#include "countersign/result.h"

namespace countersign {

/// Whose secret signs. The scheme's name is written in lower case and read in any.
enum class RequestScheme {
  kApplication,  ///< the application's own secret: server API and callbacks
  kInstance,     ///< a client instance's secret: calls of an SDK after the exchange
  kService,      ///< a service's secret: webhooks of the second generation
};

std::string_view request_scheme_name(RequestScheme scheme) noexcept;

struct RequestHeader {
  std::string_view name;
  std::string_view value;
};

/// A request as it came from the wire.
struct ReceivedRequest {
  std::string_view method;
  /// What the signature covers, never decoded or normalised: the raw request target with its query
  /// for `application` and `service`, the raw path alone for `instance`. With `instance` the query
  /// is unauthenticated input.
  std::string_view resource;
  /// All headers in order; names in any case, values without blanks around them.
  std::span<const RequestHeader> headers;
  std::string_view body;
};

/// base64(MD5(body)); empty for an empty body.
std::string content_md5(std::string_view body);

/// The bytes that are signed.
/// @param content_type  the header's value verbatim, empty if absent.
/// @param timestamp     the x-timestamp header's value verbatim.
std::string string_to_sign(std::string_view method, std::string_view content_md5,
                           std::string_view content_type, std::string_view timestamp,
                           std::string_view resource);

struct RequestToSign {
  std::string_view method;
  std::string_view resource;
  std::string_view content_type;  ///< empty if the request has none
  std::string_view body;
  std::chrono::sys_seconds timestamp;
};

/// The two headers that sign a request.
struct RequestSignature {
  std::string authorization;
  std::string x_timestamp;
};

/// Signs a request with the ring's minting secret of `id`.
/// @return kUnknownKey; kBadRequest for a method that is not a token, or a resource or content type
///         with control characters; kBadTimestamp outside years 0000-9999.
Result<RequestSignature> sign_request(const KeyRing& ring, RequestScheme scheme,
                                      std::string_view id, const RequestToSign& request);

/// What the Authorization header of a request names. Nothing is verified yet: for choosing a ring.
struct RequestCredential {
  RequestScheme scheme;
  std::string_view id;
};

/// Reads scheme and id of the one Authorization header.
/// @return kDuplicateHeader if there are several; kBadAuthorization if there is none, or none with
///         `id:signature` of a known scheme.
Result<RequestCredential> request_credential(std::span<const RequestHeader> headers);

/// A request whose signature held.
class VerifiedRequest {
 public:
  RequestScheme scheme() const noexcept { return scheme_; }
  const std::string& id() const noexcept { return id_; }
  Instant timestamp() const noexcept { return timestamp_; }

 private:
  friend class RequestVerifier;
  VerifiedRequest() = default;

  RequestScheme scheme_ = RequestScheme::kApplication;
  std::string id_;
  Instant timestamp_{};
};

/// The ids and secrets to accept, by scheme. A scheme without a ring is not accepted.
struct RequestRings {
  std::shared_ptr<const KeyRing> application;
  std::shared_ptr<const KeyRing> instance;
  std::shared_ptr<const KeyRing> service;
};

class RequestVerifier {
 public:
  /// @param replay  off when null; otherwise every repeat of a signature is refused, and the cache
  ///                outlives this.
  RequestVerifier(RequestRings rings, Policy policy, ReplayCache* replay = nullptr) noexcept;

  /// Verifies a request. Bounded work: one MD5 and one MAC over what the caller passes.
  /// @return kDuplicateHeader if Authorization, X-Timestamp or Content-Type occurs twice;
  ///         kBadAuthorization for a missing or malformed header, a scheme that is not accepted, or
  ///         an unknown id; kBadTimestamp if it is missing, malformed or more than the policy's
  ///         tolerance from now; kBadRequestSignature; kReplayed; kOverloaded if the replay cache
  ///         is full.
  /// Thread-safe. An unknown id costs as much as a wrong signature.
  Result<VerifiedRequest> verify(const ReceivedRequest& request, Instant now) const;

 private:
  RequestRings rings_;
  Policy policy_;
  ReplayCache* replay_;
};

/// The documented `errorCode` that answers a refused request: 40100, 40101 or 40102; 40108 for a
/// refused user ticket.
int documented_error_code(ErrorCode code) noexcept;

}  // namespace countersign

#endif  // COUNTERSIGN_SIGNED_REQUEST_H_
