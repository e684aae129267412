// The cross-site rule: which unsafe requests may act with what the browser sends by itself.
//
// It binds requests authenticated by cookie, and sign-in and sign-up (a stranger must not be able
// to sign a browser in as somebody else). What the browser says about itself decides; only when it
// says nothing does the form's token. Thread-safety: pure functions. Source:
// docs/security/threat-model.md; W3C Fetch Metadata; OWASP CSRF prevention cheat sheet.
#ifndef COUNTERSIGN_WEB_CROSS_SITE_H_
#define COUNTERSIGN_WEB_CROSS_SITE_H_

#include <optional>
#include <string_view>

#include "net/http_message.h"
#include "web/site_origin.h"

namespace countersign::web {

enum class CrossSiteVerdict {
  kPass,
  kNeedsToken,  ///< pass only with a valid form token
  kRefuse,
};

/// What a request says about where it comes from.
struct RequestSource {
  std::optional<std::string_view> fetch_site;  ///< Sec-Fetch-Site, if sent
  std::optional<std::string_view> origin;      ///< Origin, if sent
  bool ambiguous = false;                      ///< one of the two was sent more than once
};
RequestSource source_of(const net::Request& request);

/// Judges one unsafe request.
/// @param cors_json  the route answers CORS with cookies and the body's type is application/json,
///                   which other origins cannot send without a preflight.
CrossSiteVerdict judge_cross_site(const RequestSource& source, const SiteOrigin& site,
                                  bool cors_json);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_CROSS_SITE_H_
