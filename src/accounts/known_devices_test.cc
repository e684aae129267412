#include "accounts/known_devices.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"

namespace countersign::accounts {
namespace {

class KnownDevicesTest : public AccountWorld {
 protected:
  bool good(std::string_view cookie, const storage::Account& account) {
    return devices.reserve(cookie, account.id)->has_value();
  }

  storage::Account ann = add("ann");
  storage::Account bob = add("bob");
};

TEST_F(KnownDevicesTest, ATokenIsGoodForItsAccountOnly) {
  const std::string cookie = *devices.issue("", ann.id);
  EXPECT_TRUE(good(cookie, ann));
  EXPECT_FALSE(good(cookie, bob));
  EXPECT_FALSE(good("", ann));
}

TEST_F(KnownDevicesTest, ATokenHasTenTriesAndIsThenBurnt) {
  const std::string cookie = *devices.issue("", ann.id);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(good(cookie, ann)) << i;
  EXPECT_FALSE(good(cookie, ann));
}

TEST_F(KnownDevicesTest, ARightPasswordRestoresTheTries) {
  const std::string cookie = *devices.issue("", ann.id);
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(good(cookie, ann));
  const auto token = *devices.reserve(cookie, ann.id);
  ASSERT_TRUE(token.has_value());
  ASSERT_TRUE(devices.clear(*token).ok());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(good(cookie, ann)) << i;
}

TEST_F(KnownDevicesTest, ATryThatVerifiedNothingIsGivenBack) {
  const std::string cookie = *devices.issue("", ann.id);
  for (int i = 0; i < 20; ++i) {
    const auto token = *devices.reserve(cookie, ann.id);
    ASSERT_TRUE(token.has_value()) << i;
    ASSERT_TRUE(devices.give_back(*token).ok());
  }
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(good(cookie, ann)) << i;
  EXPECT_FALSE(good(cookie, ann));
}

TEST_F(KnownDevicesTest, OneCookieServesUpToFourPeopleTheNewestFirst) {
  std::string cookie = *devices.issue("", ann.id);
  cookie = *devices.issue(cookie, bob.id);
  EXPECT_TRUE(good(cookie, ann));
  EXPECT_TRUE(good(cookie, bob));
  for (const char* name : {"cat", "dan"}) cookie = *devices.issue(cookie, add(name).id);
  EXPECT_TRUE(good(cookie, ann));
  cookie = *devices.issue(cookie, add("eve").id);
  EXPECT_EQ(std::count(cookie.begin(), cookie.end(), '.'), 3);
  EXPECT_FALSE(good(cookie, ann));
  EXPECT_TRUE(good(cookie, bob));
}

TEST_F(KnownDevicesTest, MadeUpTokensClaimNothing) {
  const std::string cookie = *devices.issue("", ann.id);
  EXPECT_TRUE(devices.claims(cookie));
  EXPECT_FALSE(devices.claims(""));
  EXPECT_FALSE(devices.claims("..."));
  EXPECT_FALSE(devices.claims(std::string(43, 'A')));
  EXPECT_FALSE(devices.claims(cookie.substr(1)));
  std::string changed = cookie;
  changed[5] = changed[5] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(devices.claims(changed));
  EXPECT_TRUE(devices.claims("rubbish." + cookie));
}

TEST_F(KnownDevicesTest, LooksAtNoMoreThanFourTokens) {
  const std::string cookie = *devices.issue("", ann.id);
  EXPECT_TRUE(devices.claims("a.b.c." + cookie));
  EXPECT_FALSE(devices.claims("a.b.c.d." + cookie));
}

TEST_F(KnownDevicesTest, AnAccountKeepsItsNewestDevices) {
  const std::string first = *devices.issue("", ann.id);
  for (int i = 0; i < 20; ++i) {
    clock.advance(std::chrono::seconds(1));
    static_cast<void>(devices.issue("", ann.id).ok());
  }
  EXPECT_FALSE(good(first, ann));
}

}  // namespace
}  // namespace countersign::accounts
