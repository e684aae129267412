#include "web/cross_site.h"

namespace countersign::web {

RequestSource source_of(const net::Request& request) {
  RequestSource source;
  for (const net::Request::Field& field : request.fields) {
    std::optional<std::string_view>* slot = nullptr;
    if (field.name == "sec-fetch-site") slot = &source.fetch_site;
    if (field.name == "origin") slot = &source.origin;
    if (slot == nullptr) continue;
    if (slot->has_value()) source.ambiguous = true;
    *slot = field.value;
  }
  return source;
}

CrossSiteVerdict judge_cross_site(const RequestSource& source, const SiteOrigin& site,
                                  bool cors_json) {
  if (source.ambiguous) return CrossSiteVerdict::kRefuse;
  if (source.fetch_site) {
    if (*source.fetch_site == "same-origin" || *source.fetch_site == "none") {
      // "Same" means the name the browser used, which may be a stranger's that was made to point at
      // this server (DNS rebinding): the Origin then names the stranger. On our own forms it is
      // `null`, because of Referrer-Policy no-referrer, or absent.
      const bool stranger =
          source.origin && *source.origin != "null" && !site.is_ours_or_listed(*source.origin);
      return stranger ? CrossSiteVerdict::kRefuse : CrossSiteVerdict::kPass;
    }
    if ((*source.fetch_site == "same-site" || *source.fetch_site == "cross-site") && cors_json &&
        source.origin && !site.listed(*source.origin).empty()) {
      return CrossSiteVerdict::kPass;
    }
    return CrossSiteVerdict::kRefuse;
  }
  if (source.origin) {
    if (site.is_ours(*source.origin)) return CrossSiteVerdict::kPass;
    const bool listed = !site.listed(*source.origin).empty();
    return listed && cors_json ? CrossSiteVerdict::kPass : CrossSiteVerdict::kRefuse;
  }
  return CrossSiteVerdict::kNeedsToken;
}

}  // namespace countersign::web
