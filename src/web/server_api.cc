#include "web/server_api.h"

#include <utility>
#include <variant>
#include <vector>

#include <boost/json.hpp>

#include "countersign/signed_request.h"

#include "base/json_text.h"
#include "base/log.h"
#include "gateway/actions.h"
#include "protocol/body_reader.h"
#include "protocol/command.h"
#include "protocol/strict_json.h"
#include "web/answers.h"
#include "web/form_body.h"

namespace countersign::web {
namespace {

/// Signatures of acts that are remembered: with 300 s of tolerance 100 acts a second.
constexpr std::size_t kRememberedSignatures = 65'536;

gateway::SendBudgetOptions budget_options(double per_second) {
  gateway::SendBudgetOptions options;
  options.per_second = per_second;
  options.burst = 5 * per_second;
  return options;
}

/// A repeat of these acts once more. (A send has its msg_id, and reading changes nothing.)
bool acts(Endpoint endpoint) {
  return endpoint == Endpoint::kAppSignOut || endpoint == Endpoint::kAppEndInstance ||
         endpoint == Endpoint::kAppRevokeDevice || endpoint == Endpoint::kAppErase;
}

/// What a client may ask of the desks; nothing for a command of another kind.
std::optional<gateway::MessagingRequest> messaging_request(protocol::Command& command) {
  if (auto* send = std::get_if<protocol::Send>(&command.verb)) return std::move(*send);
  if (auto* history = std::get_if<protocol::History>(&command.verb)) return std::move(*history);
  if (auto* list = std::get_if<protocol::ListConversations>(&command.verb)) {
    return std::move(*list);
  }
  return std::nullopt;
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (out.back() != '{') out.push_back(',');
  out.append("\"").append(name).append("\":");
  base::append_json_string(out, text);
}

void append_member(std::string& out, std::string_view name, std::int64_t number) {
  if (out.back() != '{') out.push_back(',');
  out.append("\"").append(name).append("\":").append(std::to_string(number));
}

/// Nobody is called offline while a node may hold them that did not answer.
std::string presence_json(const gateway::PresenceReport& report) {
  using State = gateway::PresenceState::State;
  const gateway::PresenceState& state = report.state;
  std::string body = "{";
  append_member(body, "state",
                state.state == State::kOnline ? std::string_view("online")
                : state.state == State::kAway ? std::string_view("away")
                : report.complete             ? std::string_view("offline")
                                              : std::string_view("unknown"));
  append_member(body, "devices", static_cast<std::int64_t>(state.devices));
  if (state.last_seen) append_member(body, "last_seen", base::format_rfc3339(*state.last_seen));
  return body + ",\"complete\":" + (report.complete ? "true}" : "false}");
}

/// A body that is one JSON object and says so.
Result<boost::json::object> read_object(const net::Request& request) {
  const Result<BodyType> type = body_type(request);
  if (!type) return type.failure();
  if (*type != BodyType::kJson) {
    return fail(ErrorCode::kUnsupportedMediaType, "the body has to be JSON");
  }
  auto read = protocol::read_strict_json(request.body);
  if (!read || read->objectionable || !read->value.is_object()) {
    return fail(ErrorCode::kBadRequest, "the body is no JSON object");
  }
  return std::move(read->value.as_object());
}

}  // namespace

ServerApi::ServerApi(ServerApiParts parts)
    : parts_(std::move(parts)),
      seen_(kRememberedSignatures),
      budget_(budget_options(parts_.requests_per_second)) {}

net::Awaitable<net::Response> ServerApi::answer(const Call& call) {
  ReplayCache* const replay = acts(call.route.endpoint) ? &seen_ : nullptr;
  std::vector<RequestHeader> headers;
  headers.reserve(call.request.fields.size());
  for (const auto& field : call.request.fields) headers.push_back({field.name, field.value});
  const RequestVerifier verifier(RequestRings{parts_.ring(), nullptr, nullptr}, parts_.policy,
                                 replay);
  const ReceivedRequest received{call.request.method, call.request.target, headers,
                                 call.request.body};
  const Result<VerifiedRequest> verified = verifier.verify(received, parts_.clock.now());
  if (!verified) {
    base::log_info("server_api_refused", {{"request_id", call.request.id},
                                          {"reason", error_name(verified.code())},
                                          {"detail", verified.error().detail}});
    co_return api_refused_signature(verified.code(), call.request.id);
  }
  if (const auto wait = budget_.take(verified->id(), 1, parts_.clock.steady())) {
    net::Response response = api_problem(ErrorCode::kTooManyRequests, call.request.id);
    response.set("Retry-After", std::to_string(wait->count() / 1000 + 1));
    co_return response;
  }
  co_return co_await dispatch(call, verified->id());
}

net::Awaitable<net::Response> ServerApi::dispatch(const Call& call, std::string application) {
  const Endpoint endpoint = call.route.endpoint;
  const std::string& id = call.request.id;
  if (endpoint == Endpoint::kAppSend) co_return co_await send(call, std::move(application));
  storage::UserKey user;
  user.application = std::move(application);
  if (endpoint == Endpoint::kAppRevokeDevice) {
    const Result<boost::json::object> body = read_object(call.request);
    if (!body) co_return api_problem(body.code(), id);
    std::string device;
    protocol::BodyReader reader(*body);
    reader.identity("user", user.identity).id("device", device);
    reader.require(reader.has("user") && reader.has("device"));
    if (reader.fault()) co_return api_problem(*reader.fault(), id);
    Work work = [this, user, device] { return revoke_device(user, device); };
    co_return co_await on_worker(call, std::move(work));
  }
  Result<Identity> identity = read_path_user(call.parameters);
  if (!identity) co_return api_problem(identity.code(), id);
  user.identity = *std::move(identity);
  const Result<ApiQuery> query = read_api_query(call.request.query);
  if (!query) co_return api_problem(query.code(), id);

  Work work;
  switch (endpoint) {
    case Endpoint::kAppConversations:
      co_return co_await conversations(call, std::move(user));
    case Endpoint::kAppHistory:
      co_return co_await history(call, std::move(user));
    case Endpoint::kAppPresence:
      co_return co_await presence(call, std::move(user));
    case Endpoint::kAppInbox:
      work = [this, user] { return inbox(user); };
      break;
    case Endpoint::kAppInstances:
      work = [this, user, query = *query] { return list_instances(user, query); };
      break;
    case Endpoint::kAppEndInstance: {
      Result<std::string> instance = decode_path_segment(call.parameters[2]);
      if (!instance) co_return api_problem(instance.code(), id);
      work = [this, user, instance = *std::move(instance)] { return end_instance(user, instance); };
      break;
    }
    case Endpoint::kAppSignOut:
      work = [this, user] { return sign_out(user); };
      break;
    case Endpoint::kAppExport:
      work = [this, user, query = *query, path = std::string(call.request.path)] {
        return export_page(user, query, path);
      };
      break;
    case Endpoint::kAppErase:
      work = [this, user] { return erase(user); };
      break;
    default:
      co_return api_problem(ErrorCode::kNotFound, id);
  }
  co_return co_await on_worker(call, std::move(work));
}

net::Awaitable<net::Response> ServerApi::send(const Call& call, std::string application) {
  const Result<boost::json::object> body = read_object(call.request);
  if (!body) co_return api_problem(body.code(), call.request.id);
  storage::UserKey sender;
  sender.application = std::move(application);
  protocol::BodyReader reader(*body);
  reader.identity("from", sender.identity);
  reader.require(reader.has("from"));
  if (reader.fault()) co_return api_problem(*reader.fault(), call.request.id);
  // The body is one JSON object: what stands in it cannot reach out of the command.
  std::string command = "{\"id\":1,\"send\":" + std::string(call.request.body) + "}";
  co_return co_await ask(call, std::move(sender), std::move(command));
}

net::Awaitable<net::Response> ServerApi::conversations(const Call& call, storage::UserKey user) {
  const Result<ApiQuery> query = read_api_query(call.request.query);
  std::string command = "{\"id\":1,\"conversations\":{";
  if (query && !query->after.empty()) append_member(command, "after", query->after);
  if (query && query->limit > 0) {
    append_member(command, "limit", static_cast<std::int64_t>(query->limit));
  }
  command += "}}";
  co_return co_await ask(call, std::move(user), std::move(command));
}

net::Awaitable<net::Response> ServerApi::history(const Call& call, storage::UserKey user) {
  const Result<ApiQuery> query = read_api_query(call.request.query);
  const Result<std::string> conversation = decode_path_segment(call.parameters[2]);
  if (!conversation) co_return api_problem(conversation.code(), call.request.id);
  std::string command = "{\"id\":1,\"history\":{";
  append_member(command, "conv", *conversation);
  if (query && query->before > 0) append_member(command, "before", query->before);
  if (query && query->limit > 0) {
    append_member(command, "limit", static_cast<std::int64_t>(query->limit));
  }
  command += "}}";
  co_return co_await ask(call, std::move(user), std::move(command));
}

net::Awaitable<net::Response> ServerApi::ask(const Call& call, storage::UserKey user,
                                             std::string command) {
  Result<protocol::ClientMessage> message = protocol::decode_message(command);
  auto* decoded = message ? std::get_if<protocol::Command>(&*message) : nullptr;
  if (decoded == nullptr) co_return api_problem(ErrorCode::kBadRequest, call.request.id);
  if (const auto* refused = std::get_if<protocol::Refused>(&decoded->verb)) {
    co_return api_problem(refused->code, call.request.id);
  }
  std::optional<gateway::MessagingRequest> request = messaging_request(*decoded);
  if (!request) co_return api_problem(ErrorCode::kBadRequest, call.request.id);
  gateway::Client client;
  client.user = std::move(user);
  auto start = [this, &client, &request](std::function<void(Result<std::string>)> done) {
    parts_.messaging.ask(std::move(client), gateway::ConnectionId{0}, 1, *std::move(request),
                         std::move(done));
  };
  const Result<std::string> reply =
      co_await net::await_callback<Result<std::string>>(call.shard, std::move(start));
  co_return answer_of_reply(reply, call.request.id);
}

net::Awaitable<net::Response> ServerApi::presence(const Call& call, storage::UserKey user) {
  using Report = Result<gateway::PresenceReport>;
  auto start = [this, &user](std::function<void(Report)> done) {
    parts_.messaging.presence().ask(user, std::move(done));
  };
  const Report report = co_await net::await_callback<Report>(call.shard, std::move(start));
  if (!report) co_return api_problem(report.code(), call.request.id);
  co_return json(200, presence_json(*report));
}

net::Awaitable<net::Response> ServerApi::on_worker(const Call& call, Work work) {
  const Result<net::Response> response =
      co_await net::offload(call.shard, parts_.workers, std::move(work));
  if (!response) co_return api_problem(response.code(), call.request.id);
  co_return *response;
}

}  // namespace countersign::web
