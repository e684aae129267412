// Property: no request crashes the verifier; what is accepted names a known id, carries a timestamp
// within the tolerance, and is refused once its body changes.
//
// The input is a request in lines: method, resource, headers as `name: value`, a blank line, body.
// An Authorization value that ends in `:*` stands for the right signature.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/signed_request.h"

#include "ticket/base64.h"
#include "ticket/mac_key.h"

namespace {

using namespace countersign;

constexpr std::string_view kKey = "1a006c4a-8d2e-4caf-85e0-c64de1435b8f";
constexpr Instant kNow{std::chrono::seconds{1767232800}};

void require(bool condition) {
  if (!condition) std::abort();
}

const ApplicationSecret& secret() {
  static const ApplicationSecret value =
      *ApplicationSecret::from_base64("0Qnbtiw9atgEH4JGGiBnXg==");
  return value;
}

std::shared_ptr<const KeyRing> ring() {
  static const auto value = [] {
    KeyRing made;
    require(made.add(std::string(kKey), secret().clone()).ok());
    return std::make_shared<const KeyRing>(std::move(made));
  }();
  return value;
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

struct Request {
  std::string_view method;
  std::string_view resource;
  std::vector<RequestHeader> headers;
  std::string_view body;
};

Request parse(std::string_view text) {
  Request request;
  request.method = next_line(text);
  request.resource = next_line(text);
  for (std::string_view line = next_line(text); !line.empty(); line = next_line(text)) {
    const std::size_t colon = line.find(": ");
    request.headers.push_back({line.substr(0, colon), colon == std::string_view::npos
                                                          ? std::string_view{}
                                                          : line.substr(colon + 2)});
  }
  request.body = text;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Request request = parse({reinterpret_cast<const char*>(data), size});

  std::string_view content_type;
  std::string_view timestamp;
  for (const RequestHeader& header : request.headers) {
    if (header.name == "content-type") content_type = header.value;
    if (header.name == "x-timestamp") timestamp = header.value;
  }
  const Mac mac = reference_hmac(
      secret().reveal(), as_bytes_of(string_to_sign(request.method, content_md5(request.body),
                                                    content_type, timestamp, request.resource)));
  const std::string signature = base64::encode(
      base64::Variant::kStandard, {reinterpret_cast<const char*>(mac.data()), mac.size()});
  std::string signed_value;
  for (RequestHeader& header : request.headers) {
    if (header.name == "authorization" && header.value.ends_with(":*") && signed_value.empty()) {
      signed_value = std::string(header.value.substr(0, header.value.size() - 1)) + signature;
      header.value = signed_value;
    }
  }

  const RequestVerifier verifier({ring(), ring(), nullptr}, Policy::default_policy());
  const ReceivedRequest received{request.method, request.resource, request.headers, request.body};
  const Result<VerifiedRequest> verified = verifier.verify(received, kNow);
  if (!verified) return 0;
  require(verified->id() == kKey);
  require(verified->scheme() != RequestScheme::kService);
  const auto distance = verified->timestamp() - kNow;
  require(distance <= std::chrono::seconds{300} && distance >= -std::chrono::seconds{300});
  const std::string changed = std::string(request.body) + "x";
  require(
      !verifier.verify({request.method, request.resource, request.headers, changed}, kNow).ok());
  return 0;
}
