#include "web/classic/classic_accounts.h"

#include <chrono>
#include <utility>

#include <boost/json.hpp>

#include "base/json_text.h"
#include "protocol/body_reader.h"
#include "protocol/strict_json.h"
#include "web/call.h"
#include "web/classic/classic_answers.h"
#include "web/server_api_text.h"

namespace countersign::web::classic {
namespace {

namespace json_lib = boost::json;

constexpr std::size_t kMaxIdentities = 8;
/// Longer ones are refused by the accounts, which say so.
constexpr std::size_t kMaxTypedBytes = 16 * 1024;

/// Overwrites the password inside a decoded body.
void wipe_member(json_lib::object& object, std::string_view name) {
  json_lib::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return;
  for (char& letter : value->get_string()) {
    volatile char& place = letter;  // so that nobody optimises it away
    place = '\0';
  }
}

Result<json_lib::object> read_object(std::string_view body) {
  auto read = protocol::read_strict_json(body);
  if (!read || read->objectionable || !read->value.is_object()) {
    return fail(ErrorCode::kBadRequest, "the body is no JSON object");
  }
  return std::move(read->value.as_object());
}

Result<base::SecretBytes> read_password(json_lib::object& object) {
  const json_lib::value* const value = object.if_contains("password");
  if (value == nullptr || !value->is_string()) {
    return fail(ErrorCode::kBadRequest, "no password");
  }
  base::SecretBytes password(protocol::view(value->get_string()));
  wipe_member(object, "password");
  return password;
}

Result<void> read_identity(const json_lib::value& value, SignUpBody& out) {
  if (!value.is_object()) return fail(ErrorCode::kBadRequest, "an identity is an object");
  std::string type;
  std::string endpoint;
  protocol::BodyReader reader(value.get_object());
  reader.text("type", kMaxTypedBytes, type).text("endpoint", kMaxTypedBytes, endpoint);
  if (reader.fault() || endpoint.empty()) return fail(ErrorCode::kBadRequest, "no identity");
  if (type == "number") return fail(ErrorCode::kNotAvailable, "accounts have no numbers");
  std::string* const place = type == "username" ? &out.user_name
                             : type == "email"  ? &out.email
                                                : nullptr;
  if (place == nullptr || !place->empty()) {
    return fail(ErrorCode::kBadRequest, "an identity of no type, or the second of its type");
  }
  *place = std::move(endpoint);
  return {};
}

/// Sign-ups from one place are counted by the hour.
net::Response refuse_sign_up(ErrorCode code, std::string_view request_id) {
  const bool counted = code == ErrorCode::kTooManyRequests;
  return rest_error(code, request_id, counted ? std::chrono::hours(1) : kShortly);
}

/// The answer of both doors: a ticket, and whom it names.
std::string ticket_answer(const issuing::IssuedTicket& ticket) {
  std::string body = "{\"authorization\":";
  base::append_json_string(body, ticket.text);
  body += ",\"user\":{\"identities\":[{\"type\":";
  base::append_json_string(body, identity_type_name(ticket.identity.type));
  body += ",\"endpoint\":";
  base::append_json_string(body, ticket.identity.endpoint);
  body += "}]}}";
  return body;
}

/// What finishes either, in the worker task of its last step.
auto ticket_issuer(const SiteContext& site, std::string place, std::string request_id) {
  return [&site, place = std::move(place),
          id = std::move(request_id)](accounts::Authenticated person) {
    const Result<sessions::SessionCache::View> view =
        site.sessions.api_session(person.account, place, site.issuer.options().lifetime);
    if (!view) return Result<issuing::IssuedTicket>(view.failure());
    return site.issuer.issue(**view, id);
  };
}

}  // namespace

Result<SignUpBody> read_sign_up(std::string_view body) {
  auto object = read_object(body);
  if (!object) return object.failure();
  auto password = read_password(*object);
  if (!password) return password.failure();
  SignUpBody read;
  read.password = *std::move(password);
  protocol::BodyReader reader(*object);
  const json_lib::array* const identities = reader.array("identities", kMaxIdentities);
  if (reader.fault() || identities == nullptr || identities->empty()) {
    return fail(ErrorCode::kBadRequest, "no identities");
  }
  for (const json_lib::value& value : *identities) {
    if (auto added = read_identity(value, read); !added) return added.failure();
  }
  const json_lib::object* const profile = reader.object("profile");
  if (profile != nullptr && read.email.empty()) {
    protocol::BodyReader profile_reader(*profile);
    if (const json_lib::object* const contact = profile_reader.object("contact")) {
      protocol::BodyReader contact_reader(*contact);
      contact_reader.text("email", kMaxTypedBytes, read.email);
    }
  }
  return read;
}

Result<base::SecretBytes> read_sign_in(std::string_view body) {
  auto object = read_object(body);
  if (!object) return object.failure();
  return read_password(*object);
}

net::Awaitable<net::Response> ClassicAccounts::sign_up(const net::Request& request,
                                                       net::Shard& shard) const {
  const base::SteadyTime began = site_.clock.steady();
  Result<SignUpBody> body = read_sign_up(request.body);
  if (!body) co_return rest_error(body.code(), request.id);
  accounts::SignUpRequest typed;
  typed.user_name = std::move(body->user_name);
  typed.email = std::move(body->email);
  if (typed.user_name.empty() && issuing::email_is_identity(site_.issuer.options().identity)) {
    // As the sign-up page does: the address is the name that counts.
    typed.user_name = "user-" + site_.random.token(9);
  }
  typed.password = std::move(body->password);
  typed.prefix = client_prefix(request, site_.options.throttle_ipv4_bits);
  typed.request_id = request.id;
  auto issue = ticket_issuer(site_, typed.prefix.narrow, request.id);
  Result<accounts::SignUpDraft> draft = site_.sign_up.admit(std::move(typed));
  if (!draft) co_return refuse_sign_up(draft.code(), request.id);
  const Result<issuing::IssuedTicket> ticket = co_await run_steps<issuing::IssuedTicket>(
      site_, shard, site_.sign_up, *std::move(draft), std::move(issue));
  co_await wait_for_floor(site_, shard, site_.sign_up_floor, began);
  if (!ticket) co_return refuse_sign_up(ticket.code(), request.id);
  co_return rest_answer(ticket_answer(*ticket));
}

net::Awaitable<net::Response> ClassicAccounts::sign_in(const net::Request& request,
                                                       net::Shard& shard,
                                                       const PathParameters& parameters) const {
  const base::SteadyTime began = site_.clock.steady();
  const std::string_view type = parameters[0];
  if (type == "number") co_return rest_error(ErrorCode::kNotAvailable, request.id);
  Result<std::string> name = decode_path_segment(parameters[1]);
  if (!name || (type != "username" && type != "email")) {
    co_return rest_error(ErrorCode::kBadRequest, request.id);
  }
  Result<base::SecretBytes> password = read_sign_in(request.body);
  if (!password) co_return rest_error(password.code(), request.id);
  accounts::SignInRequest typed;
  typed.name = *std::move(name);
  typed.password = *std::move(password);
  typed.prefix = client_prefix(request, site_.options.throttle_ipv4_bits);
  typed.wants_device = false;
  typed.request_id = request.id;
  auto issue = ticket_issuer(site_, typed.prefix.narrow, request.id);
  Result<accounts::SignInAttempt> attempt = site_.api_sign_in.admit(std::move(typed));
  if (!attempt) co_return rest_error(attempt.code(), request.id);
  const Result<issuing::IssuedTicket> ticket = co_await run_steps<issuing::IssuedTicket>(
      site_, shard, site_.api_sign_in, *std::move(attempt), std::move(issue));
  co_await wait_for_floor(site_, shard, site_.api_floor, began);
  if (!ticket) co_return rest_error(ticket.code(), request.id);
  co_return rest_answer(ticket_answer(*ticket));
}

}  // namespace countersign::web::classic
