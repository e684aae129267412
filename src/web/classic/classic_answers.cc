#include "web/classic/classic_answers.h"

#include <utility>

#include "countersign/signed_request.h"

#include "base/json_text.h"
#include "protocol/classic_paths.h"

namespace countersign::web::classic {
namespace {

using std::chrono::seconds;

constexpr int kParameter = 40001;

/// What every answer carries. The plane's are many and small.
constexpr std::string_view kHeaders =
    "Content-Type: application/json\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Expose-Headers: Retry-After, X-Request-Id\r\n"
    "Cross-Origin-Resource-Policy: cross-origin\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-store\r\n";

// `*` does not cover Authorization, so the headers stand by name. Browsers remember for two hours
// at most.
constexpr std::string_view kPreflightHeaders =
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, OPTIONS\r\n"
    "Access-Control-Allow-Headers: authorization, content-type, x-timestamp\r\n"
    "Access-Control-Max-Age: 7200\r\n"
    "Cross-Origin-Resource-Policy: cross-origin\r\n"
    "Cache-Control: no-store\r\n";

net::Response answer(int status, std::string body, seconds again = kShortly) {
  net::Response response;
  response.status = status;
  response.fixed_headers = kHeaders;
  response.body = std::move(body);
  if (status == 429 || status == 503) response.set("Retry-After", std::to_string(again.count()));
  return response;
}

bool is_of_signature(ErrorCode code) {
  return code == ErrorCode::kBadAuthorization || code == ErrorCode::kDuplicateHeader ||
         code == ErrorCode::kBadTimestamp || code == ErrorCode::kBadRequestSignature ||
         code == ErrorCode::kReplayed;
}

bool is_ticket_fault(ErrorCode code) { return static_cast<int>(code) >= 1200; }

}  // namespace

int rest_error_code(ErrorCode code, int status) {
  if (status == 401 && (is_of_signature(code) || is_ticket_fault(code))) {
    return documented_error_code(code);
  }
  return status == 400 ? kParameter : status * 100;
}

net::Response rest_answer(std::string body) { return answer(200, std::move(body)); }

net::Response rest_error(ErrorCode code, std::string_view request_id, seconds again) {
  const ErrorCode shown = wire_code(code);
  const int status = http_status(shown);
  std::string body = "{\"errorCode\":" + std::to_string(rest_error_code(code, status));
  body += ",\"message\":";
  base::append_json_string(body, error_text(shown));
  if (!request_id.empty()) {
    body += ",\"reference\":";
    base::append_json_string(body, request_id);
  }
  body += '}';
  net::Response response = answer(status, std::move(body), again);
  if (status == 401) response.set("WWW-Authenticate", "Instance realm=\"classic\"");
  return response;
}

net::Response plane_answer(std::string body) { return answer(200, std::move(body)); }

net::Response plane_error(ErrorCode code, std::string_view service) {
  // A key is this plane's credential, and what browsers would ask people for on 401 is none.
  const ErrorCode shown = wire_code(code);
  const int status = http_status(shown) == 401 ? 403 : http_status(shown);
  return answer(status, protocol::encode_plane_error(status, error_text(shown), service));
}

net::Response preflight_answer() {
  net::Response response;
  response.status = 204;
  response.fixed_headers = kPreflightHeaders;
  return response;
}

void add_classic_members(net::Response& response, ErrorCode code) {
  response.set("Access-Control-Allow-Origin", "*");
  if (!response.body.ends_with('}')) return;
  response.body.pop_back();
  response.body +=
      ",\"error\":true,\"errorCode\":" + std::to_string(rest_error_code(code, response.status)) +
      ",\"message\":";
  base::append_json_string(response.body, error_text(wire_code(code)));
  response.body += '}';
}

}  // namespace countersign::web::classic
