#include "web/site_origin.h"

#include <algorithm>
#include <utility>

#include "config/settings.h"
#include "net/address.h"

namespace countersign::web {
namespace {

/// The parts of `SCHEME://HOST[:PORT]`, each with its marks: `http://`, `[::1]`, `:8080`.
struct OriginParts {
  std::string_view scheme;
  std::string_view host;
  std::string_view port;
};

OriginParts split_origin(std::string_view origin) {
  const std::size_t mark = origin.find("://");
  if (mark == std::string_view::npos) return {};
  OriginParts parts;
  parts.scheme = origin.substr(0, mark + 3);
  const std::string_view rest = origin.substr(mark + 3);
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  const std::size_t end = std::min(rest.find(':', bracket), rest.size());
  parts.host = rest.substr(0, end);
  parts.port = rest.substr(end);
  return parts;
}

/// The host of an origin, without port and brackets.
std::string_view host_of(std::string_view origin) {
  std::string_view host = split_origin(origin).host;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return host;
}

bool is_localhost(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost");
}

std::string page_policy(const std::string& websocket_origin) {
  // 'self' covers the WebSocket in today's browsers; naming it serves the older ones.
  return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
         "'self' " +
         websocket_origin +
         "; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
}

/// Answers that are no page need nothing at all.
constexpr std::string_view kPlainPolicy =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

std::string common_headers(const SiteOrigin::Facts& facts, std::string_view policy) {
  std::string lines =
      "X-Content-Type-Options: nosniff\r\n"
      "Cross-Origin-Opener-Policy: same-origin\r\n"
      "Permissions-Policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()\r\n";
  lines.append("Content-Security-Policy: ").append(policy).append("\r\n");
  lines.append("Referrer-Policy: ").append(facts.referrer_policy).append("\r\n");
  if (facts.hsts) lines.append("Strict-Transport-Security: max-age=31536000\r\n");
  return lines;
}

}  // namespace

SiteOrigin::SiteOrigin(std::vector<std::string> allowed, bool insecure_cookies,
                       bool development_certificate)
    : allowed_(std::move(allowed)),
      insecure_cookies_(insecure_cookies),
      development_certificate_(development_certificate) {}

Result<std::unique_ptr<SiteOrigin>> SiteOrigin::create(
    std::string_view public_url, const std::vector<std::string>& allowed_origins,
    bool insecure_cookies, bool development_certificate) {
  std::vector<std::string> allowed;
  for (const std::string& text : allowed_origins) {
    std::optional<std::string> origin = config::parse_origin(text);
    if (!origin) {
      return fail(ErrorCode::kBadSetting, "server.allowed_origins: not an origin: " + text);
    }
    allowed.push_back(*std::move(origin));
  }
  std::unique_ptr<SiteOrigin> site(
      new SiteOrigin(std::move(allowed), insecure_cookies, development_certificate));
  const Result<void> set =
      site->set_public_url(public_url.empty() ? std::string_view("http://localhost") : public_url);
  if (!set) return set.failure();
  return site;
}

Result<void> SiteOrigin::set_public_url(std::string_view public_url) {
  const std::optional<std::string> origin = config::parse_origin(public_url);
  if (!origin) {
    return fail(ErrorCode::kBadSetting,
                "server.public_url: not http(s)://HOST[:PORT]: " + std::string(public_url));
  }
  auto facts = std::make_unique<Facts>();
  facts->origin = *origin;
  facts->https = origin->starts_with("https://");
  facts->websocket_origin = (facts->https ? "wss" : "ws") + origin->substr(facts->https ? 5 : 4);
  const std::string_view host = host_of(*origin);
  const Result<net::IpAddress> address = net::IpAddress::parse(host);
  facts->loopback = is_localhost(host) || (address.ok() && address->is_loopback());
  facts->hsts = facts->https && !is_localhost(host) && !address.ok() && !development_certificate_;
  const bool plain_network = !facts->https && !facts->loopback;
  facts->secure_cookies = !(plain_network && insecure_cookies_);
  facts->cookies_work = !plain_network || insecure_cookies_;
  if (!facts->secure_cookies) facts->referrer_policy = "same-origin";
  facts->page_policy = page_policy(facts->websocket_origin);
  facts->page_headers = common_headers(*facts, facts->page_policy);
  facts->plain_headers = common_headers(*facts, kPlainPolicy);

  const std::lock_guard lock(mutex_);
  all_.push_back(std::move(facts));
  current_.store(all_.back().get(), std::memory_order_release);
  return {};
}

bool SiteOrigin::is_ours(std::string_view origin) const {
  const Facts& ours = facts();
  if (origin == ours.origin) return true;
  if (!ours.loopback) return false;
  const OriginParts theirs = split_origin(origin);
  const OriginParts public_parts = split_origin(ours.origin);
  const bool loopback_name =
      theirs.host == "localhost" || theirs.host == "127.0.0.1" || theirs.host == "[::1]";
  return loopback_name && theirs.scheme == public_parts.scheme && theirs.port == public_parts.port;
}

std::string_view SiteOrigin::listed(std::string_view origin) const {
  for (const std::string& allowed : allowed_) {
    if (allowed == origin) return allowed;
  }
  return {};
}

}  // namespace countersign::web
