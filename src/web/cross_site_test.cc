#include "web/cross_site.h"

#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include "web/testing/request_builder.h"

namespace countersign::web {
namespace {

using enum CrossSiteVerdict;

struct Row {
  std::optional<std::string_view> fetch_site;
  std::optional<std::string_view> origin;
  bool cors_json;
  CrossSiteVerdict verdict;
};

constexpr std::string_view kOurs = "https://calls.example.org";
constexpr std::string_view kListed = "https://shop.example.net";
constexpr std::string_view kStranger = "https://evil.example";

TEST(CrossSite, JudgesWhatTheBrowserSaysBeforeAnythingElse) {
  const auto site = *SiteOrigin::create(kOurs, {std::string(kListed)}, false);
  constexpr auto none = std::nullopt;
  const Row table[] = {
      // Fetch Metadata decides where it is sent; Origin is `null` on our own forms.
      {"same-origin", none, false, kPass},
      {"same-origin", "null", false, kPass},
      {"same-origin", kOurs, false, kPass},
      {"none", none, false, kPass},
      {"none", "null", false, kPass},
      // A stranger's name that was made to point at us is "same-origin" to the browser.
      {"same-origin", kStranger, false, kRefuse},
      {"same-origin", kStranger, true, kRefuse},
      {"same-origin", "", false, kRefuse},
      {"same-origin", "http://calls.example.org", false, kRefuse},
      {"none", kStranger, false, kRefuse},
      {"same-site", none, false, kRefuse},
      {"same-site", kListed, false, kRefuse},
      {"same-site", kListed, true, kPass},
      {"cross-site", none, false, kRefuse},
      {"cross-site", none, true, kRefuse},
      {"cross-site", kOurs, true, kRefuse},
      {"cross-site", kStranger, true, kRefuse},
      {"cross-site", "null", true, kRefuse},
      {"cross-site", kListed, true, kPass},
      {"cross-site", kListed, false, kRefuse},
      {"", none, false, kRefuse},
      {"unheard-of", kOurs, true, kRefuse},
      // Then Origin, compared with the public URL.
      {none, kOurs, false, kPass},
      {none, kListed, false, kRefuse},
      {none, kListed, true, kPass},
      {none, kStranger, true, kRefuse},
      {none, "null", true, kRefuse},
      {none, "", true, kRefuse},
      {none, "http://calls.example.org", false, kRefuse},
      {none, "https://calls.example.org:8443", false, kRefuse},
      {none, "https://calls.example.org.evil.example", false, kRefuse},
      // Neither: only the form's token helps.
      {none, none, false, kNeedsToken},
      {none, none, true, kNeedsToken},
  };
  for (const Row& row : table) {
    const RequestSource source{row.fetch_site, row.origin, false};
    EXPECT_EQ(judge_cross_site(source, *site, row.cors_json), row.verdict)
        << "Sec-Fetch-Site " << row.fetch_site.value_or("absent") << ", Origin "
        << row.origin.value_or("absent") << ", cors_json " << row.cors_json;
  }
}

TEST(CrossSite, TakesTheNamesOfThisComputerAsOneIfItIsServedThere) {
  const auto site = *SiteOrigin::create("http://localhost:8080", {}, false);
  for (const std::string_view same :
       {"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"}) {
    EXPECT_EQ(judge_cross_site({"same-origin", same, false}, *site, false), kPass) << same;
    EXPECT_EQ(judge_cross_site({std::nullopt, same, false}, *site, false), kPass) << same;
    EXPECT_EQ(judge_cross_site({"cross-site", same, false}, *site, true), kRefuse) << same;
  }
  for (const std::string_view other :
       {"http://127.0.0.1:8081", "http://127.0.0.1", "https://127.0.0.1:8080",
        "http://127.0.0.2:8080", "http://localhost.evil.example:8080"}) {
    EXPECT_EQ(judge_cross_site({"same-origin", other, false}, *site, false), kRefuse) << other;
    EXPECT_EQ(judge_cross_site({std::nullopt, other, false}, *site, false), kRefuse) << other;
  }
}

TEST(CrossSite, RefusesHeadersSentTwice) {
  const auto site = *SiteOrigin::create(kOurs, {}, false);
  RequestBuilder twice("POST", "/users/sign_in");
  twice.header("sec-fetch-site", "same-origin").header("sec-fetch-site", "same-origin");
  EXPECT_EQ(judge_cross_site(source_of(twice.request()), *site, false), kRefuse);

  RequestBuilder origins("POST", "/users/sign_in");
  origins.header("origin", kOurs).header("origin", kStranger);
  EXPECT_EQ(judge_cross_site(source_of(origins.request()), *site, false), kRefuse);
}

TEST(CrossSite, NeverLooksAtHost) {
  const auto site = *SiteOrigin::create(kOurs, {}, false);
  RequestBuilder request("POST", "/users/sign_in");
  request.header("host", "evil.example").header("origin", kStranger);
  EXPECT_EQ(judge_cross_site(source_of(request.request()), *site, false), kRefuse);
  request.header("sec-fetch-site", "same-origin");
  EXPECT_EQ(judge_cross_site(source_of(request.request()), *site, false), kRefuse);
}

}  // namespace
}  // namespace countersign::web
