#include "web/classic/classic_door.h"

#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "base/log.h"
#include "protocol/classic_paths.h"
#include "web/classic/classic_answers.h"

namespace countersign::web::classic {
namespace {

bool is_rest(std::string_view path) { return path.starts_with(kRestPrefix); }

/// The methods of a known path, for Allow.
std::string allowed(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  std::string list = "OPTIONS";
  for (const RestRoute& route : rest_routes()) {
    PathParameters parameters;
    if (matches_pattern(route.path, path, parameters)) list.append(", ").append(route.method);
  }
  return list;
}

/// What the log calls a request of the plane: its paths hold keys.
std::string_view plane_route(std::string_view path) {
  if (path.starts_with("/publish/")) return "/publish/{…}";
  if (path.starts_with("/subscribe/")) return "/subscribe/{…}";
  if (path.starts_with("/time/")) return "/time/0";
  return "/v2/{…}";
}

}  // namespace

ClassicDoor::ClassicDoor(net::HttpHandler& inner, ClassicRestParts rest, ClassicPlaneOptions plane)
    : inner_(inner), site_(rest.site), rest_(rest), plane_(plane, rest.gateway) {}

std::size_t ClassicDoor::body_limit(std::string_view method, std::string_view path) const {
  if (protocol::is_classic_plane(path)) return 0;
  return is_rest(path) ? kRestBodyBytes : inner_.body_limit(method, path);
}

net::Response ClassicDoor::refuse(ErrorCode code) const {
  net::Response response = inner_.refuse(code);
  add_classic_members(response, code);
  return response;
}

net::Response ClassicDoor::refuse_request(ErrorCode code, const net::Request& head) const {
  if (is_rest(head.path)) return rest_error(code, head.id);
  if (protocol::is_classic_plane(head.path)) return ClassicPlane::refuse(head.path, code);
  return inner_.refuse_request(code, head);
}

net::Awaitable<net::Response> ClassicDoor::handle(net::Request& request, net::Shard& shard) {
  if (is_rest(request.path)) co_return co_await answer_rest(request, shard);
  if (protocol::is_classic_plane(request.path)) co_return answer_plane(request, shard);
  co_return co_await inner_.handle(request, shard);
}

net::Awaitable<net::Response> ClassicDoor::answer_rest(net::Request& request, net::Shard& shard) {
  const base::SteadyTime began = site_.clock.steady();
  const RestMatch match = find_rest_route(request.method, request.path);
  net::Response response;
  if (match.route != nullptr) {
    try {
      response = co_await rest_.answer(request, shard, match);
    } catch (const std::exception& thrown) {
      base::log_error("handler_threw", {{"request_id", request.id}, {"what", thrown.what()}});
      response = rest_error(ErrorCode::kInternal, request.id);
    }
  } else if (request.method == "OPTIONS") {
    response = preflight_answer();
  } else if (match.path_known) {
    response = rest_error(ErrorCode::kMethodNotAllowed, request.id);
    response.set("Allow", allowed(request.path));
  } else {
    response = rest_error(ErrorCode::kNotFound, request.id);
  }
  const std::string_view route = match.route != nullptr ? match.route->path : "/sinch/{…}";
  note(request, route, response.status, began, request.method == "OPTIONS");
  co_return response;
}

net::Response ClassicDoor::answer_plane(const net::Request& request, net::Shard& shard) const {
  const base::SteadyTime began = site_.clock.steady();
  net::Response response;
  if (request.method == "GET") {
    response = plane_.answer(request, shard);
  } else if (request.method == "OPTIONS") {
    response = preflight_answer();
  } else {
    response = ClassicPlane::refuse(request.path, ErrorCode::kMethodNotAllowed);
    response.set("Allow", "GET, OPTIONS");
  }
  // What is held is noted as it begins.
  note(request, plane_route(request.path), response.status, began, true);
  return response;
}

void ClassicDoor::note(const net::Request& request, std::string_view route, int status,
                       base::SteadyTime began, bool quiet) const {
  const base::LogLevel level =
      quiet && status < 500 ? base::LogLevel::kDebug : base::LogLevel::kInfo;
  if (!base::log_enabled(level)) return;
  const std::chrono::duration<double, std::milli> took = site_.clock.steady() - began;
  base::log(level, "http_request",
            {{"method", request.method.substr(0, 16)},
             {"path", route},
             {"status", status},
             {"ms", took.count()},
             {"request_id", request.id},
             {"client", request.client.prefix(site_.options.throttle_ipv4_bits, 64)}});
}

}  // namespace countersign::web::classic
