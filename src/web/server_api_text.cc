#include "web/server_api_text.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/json.hpp>

#include "countersign/signed_request.h"

#include "base/json_text.h"
#include "protocol/messaging_commands.h"
#include "web/answers.h"
#include "web/form_body.h"

namespace countersign::web {
namespace {

namespace json_lib = boost::json;

/// What every reply begins with: the API asks with id 1.
constexpr std::string_view kReplyHead = "{\"id\":1,\"";
constexpr int kInvalidRequest = 40003;
constexpr std::size_t kMaxApiLimit = 10'000;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool read_number(std::string_view text, std::int64_t least, std::int64_t most, std::int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= least && out <= most;
}

net::Response with_error_code(net::Response response, int error_code, ErrorCode shown) {
  response.body.pop_back();
  response.body += ",\"errorCode\":" + std::to_string(error_code) + ",\"message\":";
  base::append_json_string(response.body, error_text(shown));
  response.body += '}';
  for (auto& [name, value] : response.headers) {
    if (name == "WWW-Authenticate") value = "Application realm=\"server-api\"";
  }
  return response;
}

}  // namespace

Result<std::string> decode_path_segment(std::string_view segment) {
  std::string text;
  text.reserve(segment.size());
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] != '%') {
      text.push_back(segment[i]);
      continue;
    }
    const int high = i + 2 < segment.size() ? hex_value(segment[i + 1]) : -1;
    const int low = i + 2 < segment.size() ? hex_value(segment[i + 2]) : -1;
    if (high < 0 || low < 0) return fail(ErrorCode::kBadRequest, "a broken escape in the path");
    text.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  const bool controls = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (controls) return fail(ErrorCode::kBadRequest, "the path holds what no name may");
  return text;
}

Result<Identity> read_path_user(const PathParameters& parameters) {
  const auto type = parse_identity_type(parameters[0]);
  if (!type) return fail(ErrorCode::kBadRequest, "no such type of identity");
  Result<std::string> endpoint = decode_path_segment(parameters[1]);
  if (!endpoint) return endpoint.failure();
  Identity user{*type, *std::move(endpoint)};
  if (!validate_identity(user, UserNameRule::kUtf8)) {
    return fail(ErrorCode::kBadRequest, "no identity of that type");
  }
  return user;
}

Result<ApiQuery> read_api_query(std::string_view query) {
  ApiQuery read;
  if (query.empty()) return read;
  Result<Fields> fields = decode_form(query);
  if (!fields) return fields.failure();
  for (const Fields::Field& field : fields->all()) {
    std::int64_t number = 0;
    if (field.name == "after") {
      if (field.value.empty() || field.value.size() > protocol::kMaxPageMarkBytes) {
        return fail(ErrorCode::kBadRequest, "after is no mark");
      }
      read.after = field.value;
    } else if (field.name == "before" &&
               read_number(field.value, 1, protocol::kMaxInteger, number)) {
      read.before = number;
    } else if (field.name == "limit" && read_number(field.value, 1, kMaxApiLimit, number)) {
      read.limit = static_cast<std::size_t>(number);
    } else {
      return fail(ErrorCode::kBadRequest, "a query that is not known");
    }
  }
  return read;
}

net::Response api_problem(ErrorCode code, std::string_view request_id) {
  const ErrorCode shown = wire_code(code);
  net::Response response = problem(code, request_id);
  const int error_code = response.status == 400 ? kInvalidRequest : response.status * 100;
  return with_error_code(std::move(response), error_code, shown);
}

net::Response api_refused_signature(ErrorCode code, std::string_view request_id) {
  if (code == ErrorCode::kOverloaded) return api_problem(code, request_id);
  return with_error_code(problem(code, 401, request_id), documented_error_code(code),
                         wire_code(code));
}

net::Response answer_of_reply(const Result<std::string>& reply, std::string_view request_id) {
  if (!reply) return api_problem(reply.code(), request_id);
  const std::size_t verb_end = reply->find('"', kReplyHead.size());
  if (!reply->starts_with(kReplyHead) || verb_end == std::string::npos) {
    return api_problem(ErrorCode::kInternal, request_id);
  }
  const std::string verb = reply->substr(kReplyHead.size(), verb_end - kReplyHead.size());
  std::string object = reply->substr(verb_end + 2, reply->size() - verb_end - 3);
  if (verb != "error") return json(200, std::move(object));

  const json_lib::value error = json_lib::parse(object);
  const auto code = static_cast<ErrorCode>(error.at("code").as_int64());
  net::Response response = api_problem(code, request_id);
  if (const auto* users = error.as_object().if_contains("users")) {
    response.body.pop_back();
    response.body += ",\"users\":" + json_lib::serialize(*users) + "}";
  }
  if (const auto* wait = error.as_object().if_contains("retry_after_ms")) {
    if (!has_header(response, "Retry-After")) {
      response.set("Retry-After", std::to_string(wait->as_int64() / 1000 + 1));
    }
  }
  return response;
}

}  // namespace countersign::web
