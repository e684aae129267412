#include "web/site_origin.h"

#include <memory>

#include <gtest/gtest.h>

namespace countersign::web {
namespace {

SiteOrigin::Facts facts_of(std::string_view url, bool insecure_cookies = false,
                           bool development = false) {
  return (*SiteOrigin::create(url, {}, insecure_cookies, development))->facts();
}

TEST(SiteOrigin, SendsStrictTransportSecurityUnderRealHostNamesOnly) {
  EXPECT_TRUE(facts_of("https://calls.example.org").hsts);
  EXPECT_TRUE(facts_of("https://calls.example.org:8443").hsts);
  EXPECT_FALSE(facts_of("http://calls.example.org").hsts);
  EXPECT_FALSE(facts_of("https://localhost:8443").hsts);
  EXPECT_FALSE(facts_of("https://dev.localhost").hsts);
  EXPECT_FALSE(facts_of("https://192.0.2.7").hsts);
  EXPECT_FALSE(facts_of("https://[2001:db8::1]:8443").hsts);
  EXPECT_FALSE(facts_of("https://calls.example.org", false, true).hsts);
}

TEST(SiteOrigin, KnowsWhereBrowsersKeepHostCookies) {
  EXPECT_TRUE(facts_of("https://calls.example.org").cookies_work);
  EXPECT_TRUE(facts_of("http://localhost:8080").cookies_work);
  EXPECT_TRUE(facts_of("http://127.0.0.1:8080").cookies_work);
  EXPECT_TRUE(facts_of("http://[::1]:8080").cookies_work);
  EXPECT_FALSE(facts_of("http://192.0.2.7:8080").cookies_work);
  EXPECT_FALSE(facts_of("http://calls.example.org").cookies_work);
}

TEST(SiteOrigin, TheDevelopmentSwitchChangesPlainNetworksOnly) {
  const auto plain = facts_of("http://192.0.2.7:8080", true);
  EXPECT_TRUE(plain.cookies_work);
  EXPECT_FALSE(plain.secure_cookies);
  EXPECT_EQ(plain.referrer_policy, "same-origin");
  EXPECT_TRUE(facts_of("https://calls.example.org", true).secure_cookies);
  EXPECT_TRUE(facts_of("http://localhost:8080", true).secure_cookies);
}

TEST(SiteOrigin, AllowsThePagesItsWebSocketAndNothingElse) {
  const std::string policy = facts_of("http://localhost:8080").page_policy;
  EXPECT_TRUE(policy.starts_with("default-src 'none';"));
  EXPECT_NE(policy.find("connect-src 'self' ws://localhost:8080;"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_NE(facts_of("https://a.example").page_policy.find("wss://a.example"), std::string::npos);
}

TEST(SiteOrigin, ComparesOriginsAndNeverListsNull) {
  const auto site = *SiteOrigin::create("https://a.example", {"https://B.example:443"}, false);
  EXPECT_EQ(site->listed("https://b.example"), "https://b.example");
  EXPECT_TRUE(site->is_ours_or_listed("https://a.example"));
  EXPECT_FALSE(site->is_ours_or_listed("https://a.example:444"));
  EXPECT_FALSE(site->is_ours_or_listed("null"));
  EXPECT_FALSE(site->is_ours_or_listed(""));
}

TEST(SiteOrigin, KnowsTheNamesOfThisComputerApartFromAllOthers) {
  for (const std::string_view url :
       {"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"}) {
    const auto site = *SiteOrigin::create(url, {}, false);
    EXPECT_TRUE(site->is_ours("http://localhost:8080")) << url;
    EXPECT_TRUE(site->is_ours("http://127.0.0.1:8080")) << url;
    EXPECT_TRUE(site->is_ours("http://[::1]:8080")) << url;
    for (const std::string_view other :
         {"", "null", "localhost:8080", "http://", "http://:8080", "http://[", "http://[::1",
          "http://localhost", "http://localhost:80801", "https://localhost:8080",
          "http://a.localhost:8080", "http://127.0.0.1.evil.example:8080", "http://localhost:8080/",
          "http://x@localhost:8080", "ws://localhost:8080"}) {
      EXPECT_FALSE(site->is_ours(other)) << url << " and " << other;
    }
  }
  const auto network = *SiteOrigin::create("http://192.0.2.7:8080", {}, false);
  EXPECT_TRUE(network->is_ours("http://192.0.2.7:8080"));
  EXPECT_FALSE(network->is_ours("http://localhost:8080"));
  EXPECT_FALSE(network->is_ours("http://127.0.0.1:8080"));
}

TEST(SiteOrigin, RefusesWhatIsNoOrigin) {
  EXPECT_EQ(SiteOrigin::create("https://a.example/path", {}, false).code(), ErrorCode::kBadSetting);
  EXPECT_EQ(SiteOrigin::create("https://a.example", {"null"}, false).code(),
            ErrorCode::kBadSetting);
}

TEST(SiteOrigin, LearnsTheAddressOnceTheServerListens) {
  const auto site = *SiteOrigin::create("", {}, false);
  ASSERT_TRUE(site->set_public_url("http://localhost:43210").ok());
  EXPECT_EQ(site->facts().origin, "http://localhost:43210");
}

}  // namespace
}  // namespace countersign::web
