// SiteOrigin: where the pages live, as browsers name it, and what follows from that.
//
// Origins are compared with server.public_url, never with the Host header, which the sender
// chooses. With port 0 the address is known only once the server listens; set_public_url() then
// completes it. Thread-safety: every call may be made from any thread; facts() stay valid as long
// as the object. Source: RFC 6454 (origins), RFC 6797 (HSTS), Fetch section 3.2 (the Origin
// header).
#ifndef COUNTERSIGN_WEB_SITE_ORIGIN_H_
#define COUNTERSIGN_WEB_SITE_ORIGIN_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

namespace countersign::web {

class SiteOrigin {
 public:
  /// What follows from one public URL.
  struct Facts {
    std::string origin;            ///< `https://calls.example.org`, `http://localhost:8080`
    std::string websocket_origin;  ///< the same with ws or wss
    bool https = false;
    bool loopback = false;  ///< the host is localhost or a loopback address
    /// Whether Strict-Transport-Security is sent: https under a real host name only. A browser that
    /// once saw it for localhost or an address would refuse every other server there.
    bool hsts = false;
    /// Whether cookies are called `__Host-…` and marked Secure.
    bool secure_cookies = true;
    /// Whether browsers will keep the cookies: `__Host-` needs https or a loopback host.
    bool cookies_work = true;
    /// Referrer-Policy. `no-referrer`, but with insecure cookies `same-origin`: over plain http
    /// browsers send no Sec-Fetch-Site, and no-referrer turns the Origin of a form into `null`.
    std::string_view referrer_policy = "no-referrer";
    std::string page_policy;  ///< Content-Security-Policy of HTML pages
    /// The headers that every answer of its kind carries, as net::Response::fixed_headers wants.
    std::string page_headers;
    std::string plain_headers;
  };

  /// @param public_url        server.public_url; empty if it is not known yet.
  /// @param allowed_origins   server.allowed_origins.
  /// @param insecure_cookies  the development switch for plain http on a real network.
  /// @param development_certificate  the certificate is `countersign dev-certificate`'s: no HSTS.
  /// kBadSetting if one of the URLs is not an http(s) origin.
  static Result<std::unique_ptr<SiteOrigin>> create(std::string_view public_url,
                                                    const std::vector<std::string>& allowed_origins,
                                                    bool insecure_cookies,
                                                    bool development_certificate = false);

  /// kBadSetting if `public_url` is not an http(s) origin. Called before the first request counts.
  Result<void> set_public_url(std::string_view public_url);

  const Facts& facts() const { return *current_.load(std::memory_order_acquire); }
  /// The entry of server.allowed_origins equal to `origin`, or an empty view. `null` is never one.
  std::string_view listed(std::string_view origin) const;
  /// True for the public origin itself. If that is a loopback one, `localhost`, `127.0.0.1` and
  /// `[::1]` of its scheme and port are the same: whoever runs the server types any of them.
  bool is_ours(std::string_view origin) const;
  bool is_ours_or_listed(std::string_view origin) const {
    return is_ours(origin) || !listed(origin).empty();
  }

 private:
  SiteOrigin(std::vector<std::string> allowed, bool insecure_cookies, bool development_certificate);

  const std::vector<std::string> allowed_;
  const bool insecure_cookies_;
  const bool development_certificate_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<const Facts>> all_;  // readers may still hold earlier ones
  std::atomic<const Facts*> current_{nullptr};
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_SITE_ORIGIN_H_
