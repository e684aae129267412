#include "web/classic/classic_rest.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/offload.h"
#include "web/classic/classic_answers.h"
#include "web/classic/classic_credential.h"
#include "web/classic/classic_text.h"
#include "web/server_api_text.h"

namespace countersign::web::classic {
namespace {

using Scheme = Credential::Scheme;
using gateway::classic::Configuration;
using gateway::classic::TransportView;

std::string network(std::string_view host, const Configuration& configuration) {
  std::string text = "{";
  append_member(text, "host", host);
  append_member(text, "publishKey", configuration.publish_key);
  append_member(text, "subscribeKey", configuration.subscribe_key);
  return text + '}';
}

std::string instance_answer(const GivenInstance& given) {
  std::string text = "{";
  append_member(text, "id", given.instance.id.text());
  append_member(text, "secret", given.secret);
  return text + '}';
}

std::string profile_answer(const storage::Instance& instance) {
  std::string text = "{\"identities\":[{";
  append_member(text, "type", identity_type_name(instance.identity.type));
  append_member(text, "endpoint", instance.identity.endpoint);
  return text + "}]}";
}

}  // namespace

ClassicRest::ClassicRest(ClassicRestParts parts)
    : parts_(std::move(parts)), accounts_(parts_.site, parts_.accounts_application) {}

net::Awaitable<net::Response> ClassicRest::answer(const net::Request& request, net::Shard& shard,
                                                  const RestMatch& match) {
  const RestRoute& route = *match.route;
  if (route.endpoint == RestEndpoint::kTimestamp) {
    // Asked before anything is known, and without an answer start() would never end.
    std::string text = "{";
    append_member(text, "timestamp", base::format_rfc3339(parts_.site.clock.now()));
    co_return rest_answer(text + '}');
  }
  if (route.endpoint == RestEndpoint::kNotOffered) {
    co_return rest_error(ErrorCode::kNotAvailable, request.id);
  }
  // A node that is cut off from the store, or about to end, accepts nothing.
  if (!parts_.site.options.ready()) co_return rest_error(ErrorCode::kNotReady, request.id);
  if (route.scheme == RestScheme::kUser) co_return co_await give_instance(request, shard, match);
  if (route.scheme == RestScheme::kApplication) {
    co_return co_await with_accounts(request, shard, match);
  }
  co_return co_await of_instance(request, shard, route.endpoint);
}

net::Awaitable<net::Response> ClassicRest::on_worker(const net::Request& request, net::Shard& shard,
                                                     Work work) {
  const Result<std::string> text = co_await net::offload(shard, parts_.workers, std::move(work));
  if (!text) co_return refuse(request, text.error());
  co_return rest_answer(*text);
}

net::Response ClassicRest::refuse(const net::Request& request, const Error& error) const {
  base::log_info(
      "classic_refused",
      {{"request_id", request.id}, {"reason", error_name(error.code)}, {"detail", error.detail}});
  return rest_error(error.code, request.id);
}

net::Awaitable<net::Response> ClassicRest::give_instance(const net::Request& request,
                                                         net::Shard& shard,
                                                         const RestMatch& match) {
  const Result<Credential> credential = read_credential(request);
  if (!credential) co_return refuse(request, credential.error());
  if (credential->scheme != Scheme::kUser) {
    co_return refuse(request, {ErrorCode::kBadAuthorization, "a ticket is wanted here"});
  }
  const bool renew = match.route->endpoint == RestEndpoint::kRenewInstance;
  Result<std::string> id = std::string();
  if (renew) id = decode_path_segment(match.parameters[0]);
  // What cannot be read is no instance either: the SDK then forgets it, and makes a new one.
  if (!id) co_return refuse(request, {ErrorCode::kNotFound, "no instance has such an id"});
  Work work = [this, renew, id = *std::move(id),
               ticket = credential->value]() -> Result<std::string> {
    const auto given = renew ? parts_.instances.renew(id, ticket) : parts_.instances.create(ticket);
    if (!given) return given.failure();
    return instance_answer(*given);
  };
  co_return co_await on_worker(request, shard, std::move(work));
}

net::Awaitable<net::Response> ClassicRest::with_accounts(const net::Request& request,
                                                         net::Shard& shard,
                                                         const RestMatch& match) {
  const Result<Credential> credential = read_credential(request);
  if (!credential) co_return refuse(request, credential.error());
  if (credential->scheme != Scheme::kApplication || credential->value != accounts_.application()) {
    co_return refuse(request, {ErrorCode::kBadAuthorization, "not the accounts' application"});
  }
  if (!parts_.options.accounts) co_return rest_error(ErrorCode::kNotAvailable, request.id);
  if (match.route->endpoint == RestEndpoint::kSignUp) {
    co_return co_await accounts_.sign_up(request, shard);
  }
  co_return co_await accounts_.sign_in(request, shard, match.parameters);
}

net::Awaitable<net::Response> ClassicRest::of_instance(const net::Request& request,
                                                       net::Shard& shard, RestEndpoint endpoint) {
  const Result<Credential> credential = read_credential(request);
  if (!credential) co_return refuse(request, credential.error());
  if (credential->scheme == Scheme::kApplication && endpoint == RestEndpoint::kReport &&
      parts_.ring()->contains(credential->value)) {
    // The last report of a client that has just forgotten its instance.
    co_return rest_answer("{}");
  }
  if (credential->scheme != Scheme::kInstance) {
    co_return refuse(request, {ErrorCode::kBadAuthorization, "a signature is wanted here"});
  }
  Work work = [this, &request, endpoint, id = credential->value]() -> Result<std::string> {
    const Result<storage::Instance> instance = verify(request, id);
    if (!instance) return instance.failure();
    return serve(request, endpoint, *instance);
  };
  co_return co_await on_worker(request, shard, std::move(work));
}

Result<storage::Instance> ClassicRest::verify(const net::Request& request,
                                              std::string_view id) const {
  const base::SystemTime now = parts_.site.clock.now();
  Result<storage::Instance> instance =
      parts_.gateway.live_instance(base::InstanceId(std::string(id)));
  std::vector<std::string> secrets;
  if (instance) {
    secrets = parts_.instances.secrets(*instance);
  } else if (is_temporary(instance.code()) || http_status(wire_code(instance.code())) >= 500) {
    return instance.failure();
  }
  const Result<void> verified =
      verify_instance(request, id, secrets, parts_.options.path_prefix, policy_, now);
  if (!verified) return verified.failure();
  return instance;
}

Result<std::string> ClassicRest::serve(const net::Request& request, RestEndpoint endpoint,
                                       const storage::Instance& instance) const {
  switch (endpoint) {
    case RestEndpoint::kConfiguration:
      return configuration(instance);
    case RestEndpoint::kProfile:
      return profile_answer(instance);
    case RestEndpoint::kReport:
      return std::string("{}");
    case RestEndpoint::kOpenTransport: {
      Result<std::vector<Identity>> recipients = read_recipients(request.body, instance.identity);
      if (!recipients) return recipients.failure();
      // Nobody who could be anybody: an answer without participants says so.
      if (recipients->empty())
        return std::string(R"({"transportId":"","key":"","participants":[]})");
      Result<TransportView> opened =
          parts_.gateway.open_transport(instance, *std::move(recipients));
      if (!opened) return opened.failure();
      // The SDK counts itself in, also where it is alone.
      std::erase_if(opened->participants, [&](const gateway::classic::Participant& participant) {
        return participant.user == instance.identity;
      });
      return transport_answer(*opened);
    }
    case RestEndpoint::kFindTransport: {
      const Result<std::string> id = read_transport_id(request.query);
      if (!id) return id.failure();
      const Result<TransportView> found = parts_.gateway.find_transport(instance, *id);
      if (!found && found.code() == ErrorCode::kAbsent) {
        return fail(ErrorCode::kNotFound, "no such transport of this user");
      }
      if (!found) return found.failure();
      return transport_answer(*found);
    }
    default:
      return fail(ErrorCode::kNotFound, "no endpoint of an instance");
  }
}

std::string ClassicRest::host(std::size_t choice) const {
  const std::string& origin = parts_.site.origin.facts().origin;
  std::string own = origin.substr(origin.find("://") + 3);
  const std::vector<std::string>& hosts = parts_.options.hosts;
  if (hosts.empty()) return own;
  const std::string& named = hosts[choice % hosts.size()];
  if (!named.starts_with(':')) return named;
  const std::size_t port = own.ends_with(']') ? own.size() : std::min(own.rfind(':'), own.size());
  return own.substr(0, port) + named;
}

std::string ClassicRest::configuration(const storage::Instance& instance) const {
  const Configuration given = parts_.gateway.configuration(instance);
  // Browsers open six connections to a host: the polls of a client's two networks go to different
  // ones, and so do those of the next client.
  const std::size_t choice = next_host_.fetch_add(1, std::memory_order_relaxed);
  std::string text = "{\"rtcConfiguration\":{\"broadcastNetwork\":";
  text += network(host(choice), given);
  text += ",\"signalNetwork\":";
  text += network(host(choice + 1), given);
  text += "},\"rtcProfile\":{";
  append_member(text, "broadcastChannel", given.broadcast_channel);
  append_member(text, "transportChannel", given.transport_channel);
  append_member(text, "signalChannel", given.signal_channel);
  append_member(text, "key", given.instance_key);
  return text + "}}";
}

}  // namespace countersign::web::classic
