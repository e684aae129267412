#include "web/answers.h"

#include <algorithm>
#include <utility>

#include "base/json_text.h"

namespace countersign::web {
namespace {

/// No scheme is registered for passwords in bodies and cookies; browsers show no dialog for this
/// one.
constexpr std::string_view kAuthenticate = "Countersign realm=\"sign-in\"";

bool listed_cors(const Route* route) {
  return route != nullptr &&
         (route->cors == Cors::kListed || route->cors == Cors::kListedWithCookies);
}

void set(net::Response& response, std::string_view name, std::string_view value) {
  response.headers.emplace_back(name, value);
}

void add_cors(net::Response& response, const net::Request& request, const Route& route,
              const SiteOrigin& site) {
  if (request.count("origin") != 1) return;
  // The list's own text is sent, never the request's.
  const std::string_view origin = site.listed(request.header("origin"));
  if (origin.empty()) return;
  set(response, "Access-Control-Allow-Origin", origin);
  set(response, "Access-Control-Expose-Headers", "Retry-After, X-Request-Id");
  if (route.cors == Cors::kListedWithCookies) {
    set(response, "Access-Control-Allow-Credentials", "true");
  }
}

}  // namespace

net::Response problem(ErrorCode code, std::string_view request_id) {
  return problem(code, http_status(wire_code(code)), request_id);
}

net::Response problem(ErrorCode code, int status, std::string_view request_id) {
  const ErrorCode shown = wire_code(code);
  net::Response response;
  response.status = status;
  set(response, "Content-Type", "application/problem+json");
  if (status == 401) set(response, "WWW-Authenticate", kAuthenticate);
  if (status == 503) set(response, "Retry-After", "1");
  std::string& body = response.body;
  body = "{\"type\":\"urn:countersign:error:";
  body += error_name(shown);
  body += "\",\"title\":";
  base::append_json_string(body, error_text(shown));
  body += ",\"status\":" + std::to_string(status);
  body += ",\"code\":" + std::to_string(static_cast<unsigned>(shown));
  if (!request_id.empty()) {
    body += ",\"requestId\":";
    base::append_json_string(body, request_id);
  }
  body += '}';
  return response;
}

net::Response html(int status, std::string body) {
  net::Response response;
  response.status = status;
  set(response, "Content-Type", "text/html; charset=utf-8");
  response.body = std::move(body);
  return response;
}

net::Response json(int status, std::string body) {
  net::Response response;
  response.status = status;
  response.headers.reserve(16);
  set(response, "Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

net::Response see_other(std::string_view path) {
  net::Response response;
  response.status = 303;
  set(response, "Location", path);
  return response;
}

bool wants_html(const net::Request& request) {
  const std::string_view accept = request.header("accept");
  if (accept.find("text/html") != std::string_view::npos) return true;
  if (accept.find("json") != std::string_view::npos) return false;
  const std::string_view type = request.header("content-type");
  return type.find("urlencoded") != std::string_view::npos;
}

bool has_header(const net::Response& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [name](const auto& header) { return header.first == name; });
}

void add_common_headers(net::Response& response, const net::Request* request, const Route* route,
                        const SiteOrigin& site) {
  const SiteOrigin::Facts& facts = site.facts();
  const bool page =
      std::any_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
        return header.first == "Content-Type" && header.second.starts_with("text/html");
      });
  response.fixed_headers = page ? facts.page_headers : facts.plain_headers;

  const bool any_origin = route != nullptr && route->cors == Cors::kAnyOrigin;
  set(response, "Cross-Origin-Resource-Policy", any_origin ? "cross-origin" : "same-origin");
  if (any_origin) set(response, "Access-Control-Allow-Origin", "*");
  if (listed_cors(route) && request != nullptr) add_cors(response, *request, *route, site);

  if (!has_header(response, "Cache-Control")) {
    set(response, "Cache-Control", "no-store");
    const bool cookies = route == nullptr || route->access != Access::kCredential;
    const bool origins = listed_cors(route);
    if (cookies || origins) {
      set(response, "Vary", cookies && origins ? "Cookie, Origin" : cookies ? "Cookie" : "Origin");
    }
  }
}

net::Response options_answer(const net::Request& request, const Route* route) {
  net::Response response;
  response.status = 204;
  set(response, "Allow", allowed_methods(request.path));
  if (request.count("origin") == 1 && listed_cors(route)) {
    set(response, "Access-Control-Allow-Methods", route->method);
    set(response, "Access-Control-Allow-Headers", "Content-Type");
    set(response, "Access-Control-Max-Age", "600");
  }
  return response;
}

}  // namespace countersign::web
