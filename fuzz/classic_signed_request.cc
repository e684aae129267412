// Property: no request crashes the classic door's check of signatures; what is accepted was signed
// over its path, with or without what the proxy took away, and is refused once path or body change;
// the query changes nothing. Nor do the readers of bodies and queries crash.
//
// The input is a request in lines: method, target, headers as `name: value`, a blank line, body. An
// Authorization value that ends in `:*` stands for the right signature.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/key_ring.h"
#include "countersign/signed_request.h"

#include "ticket/base64.h"
#include "ticket/mac_key.h"
#include "web/classic/classic_accounts.h"
#include "web/classic/classic_credential.h"
#include "web/classic/classic_routes.h"
#include "web/classic/classic_text.h"

namespace {

using namespace countersign;

const std::vector<std::string> kSecrets = {"bRo76GRddEyetgJDTgkLHA=="};
const base::SystemTime kNow{std::chrono::seconds{1434800590}};
constexpr std::string_view kPrefix = "/gateway";
const Identity kSender{IdentityType::kUsername, "ada"};

void require(bool truth) {
  if (!truth) std::abort();
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

net::Request parse(std::string_view text) {
  net::Request request;
  request.method = next_line(text);
  request.target = next_line(text);
  request.path = request.target.substr(0, request.target.find('?'));
  if (request.path.size() < request.target.size()) {
    request.query = request.target.substr(request.path.size() + 1);
  }
  for (std::string_view line = next_line(text); !line.empty(); line = next_line(text)) {
    const std::size_t colon = line.find(": ");
    const bool none = colon == std::string_view::npos;
    request.fields.push_back(
        {line.substr(0, colon), none ? std::string_view{} : line.substr(colon + 2)});
  }
  request.body = text;
  return request;
}

std::string right_signature(const net::Request& request) {
  const auto secret = ApplicationSecret::from_base64(kSecrets.front());
  const Mac mac = reference_hmac(
      secret->reveal(), as_bytes_of(string_to_sign(request.method, content_md5(request.body),
                                                   request.header("content-type"),
                                                   request.header("x-timestamp"), request.path)));
  return base64::encode(base64::Variant::kStandard,
                        {reinterpret_cast<const char*>(mac.data()), mac.size()});
}

bool accepted(const net::Request& request, std::string_view instance) {
  return web::classic::verify_instance(request, instance, kSecrets, kPrefix,
                                       Policy::default_policy(), kNow)
      .ok();
}

void read_texts(const net::Request& request) {
  const auto recipients = web::classic::read_recipients(request.body, kSender);
  if (recipients) {
    require(recipients->size() <= 100);
    for (const Identity& user : *recipients) {
      require(validate_identity(user, UserNameRule::kUtf8).ok());
    }
  }
  const auto transport = web::classic::read_transport_id(request.query);
  if (transport) require(!transport->empty());
  const auto person = web::classic::read_sign_up(request.body);
  if (person) require(!person->user_name.empty() || !person->email.empty());
  static_cast<void>(web::classic::read_sign_in(request.body));
  static_cast<void>(web::classic::find_rest_route(request.method, request.path));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  net::Request request = parse({reinterpret_cast<const char*>(data), size});
  read_texts(request);
  std::string authorization;
  for (auto& field : request.fields) {
    if (field.name == "authorization" && field.value.ends_with(":*") && authorization.empty()) {
      authorization =
          std::string(field.value.substr(0, field.value.size() - 1)) + right_signature(request);
      field.value = authorization;
    }
  }
  const auto credential = web::classic::read_credential(request);
  if (!credential) return 0;
  require(!credential->value.empty());
  if (credential->scheme != web::classic::Credential::Scheme::kInstance) return 0;
  const bool good = accepted(request, credential->value);
  request.query = "other=query";
  require(accepted(request, credential->value) == good);
  if (!good) return 0;
  const std::string body = std::string(request.body) + "x";
  request.body = body;
  require(!accepted(request, credential->value));
  request.body = std::string_view(body).substr(0, body.size() - 1);
  const std::string path = std::string(request.path) + "/";
  request.path = path;
  require(!accepted(request, credential->value));
  return 0;
}
