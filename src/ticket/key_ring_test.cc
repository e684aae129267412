#include "countersign/key_ring.h"

#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include "ticket/key_ring_access.h"

namespace countersign {
namespace {

constexpr std::string_view kFirst = "AAAAAAAAAAAAAAAAAAAAAA==";
constexpr std::string_view kSecond = "AAAAAAAAAAAAAAAAAAAAAQ==";

ApplicationSecret secret(std::string_view text) { return *ApplicationSecret::from_base64(text); }

std::string minting_fingerprint(const KeyRing& ring, std::string_view key) {
  return ring.fingerprints(key).at(0);
}

static_assert(!std::is_copy_constructible_v<ApplicationSecret>);
static_assert(!std::is_copy_constructible_v<KeyRing>);

TEST(ApplicationSecret, DecodesStrictlyAndWantsSixteenBytes) {
  EXPECT_EQ(secret(kFirst).reveal().size(), 16U);
  for (const char* text : {"", "AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA",
                           "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAAAAAAAAAAAAA==\n",
                           "AAAAAAAAAAA-AAAAAAAA_A==", "not base64 at all"}) {
    const Result<ApplicationSecret> result = ApplicationSecret::from_base64(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.code(), ErrorCode::kBadSecret);
  }
  EXPECT_FALSE(ApplicationSecret::from_base64(std::string(1400, 'A')));
}

TEST(ApplicationSecret, ErrorNeverRepeatsTheText) {
  const Result<ApplicationSecret> result = ApplicationSecret::from_base64("hunter2hunter2!!");
  EXPECT_EQ(result.error().detail.find("hunter2"), std::string::npos);
}

TEST(ApplicationSecret, FingerprintTellsSecretsApartAndSurvivesMoves) {
  ApplicationSecret one = secret(kFirst);
  const std::string print = one.fingerprint();
  EXPECT_EQ(print.size(), 16U);
  EXPECT_EQ(one.clone().fingerprint(), print);
  const ApplicationSecret moved = std::move(one);
  EXPECT_EQ(moved.fingerprint(), print);
  EXPECT_NE(secret(kSecond).fingerprint(), print);
}

TEST(KeyRing, KnowsWhatWasAdded) {
  KeyRing ring;
  EXPECT_TRUE(ring.empty());
  ASSERT_TRUE(ring.add("beta", secret(kFirst)));
  ASSERT_TRUE(ring.add("alpha", secret(kFirst)));
  EXPECT_TRUE(ring.contains("alpha"));
  EXPECT_FALSE(ring.contains("Alpha"));
  EXPECT_FALSE(ring.contains("alph"));
  EXPECT_EQ(ring.application_keys(), (std::vector<std::string>{"alpha", "beta"}));
}

TEST(KeyRing, RefusesKeysThatDoNotFitHeadersAndIssuers) {
  KeyRing ring;
  for (const char* key : {"", "a b", "a/b", "a:b", "a\n", "\xC3\xA9"}) {
    EXPECT_EQ(ring.add(key, secret(kFirst)).code(), ErrorCode::kBadSetting) << key;
  }
  EXPECT_FALSE(ring.add(std::string(256, 'k'), secret(kFirst)));
  EXPECT_TRUE(ring.add(std::string(255, 'k'), secret(kFirst)));
}

TEST(KeyRing, MintsWithTheFirstSecretUntilToldOtherwise) {
  KeyRing ring;
  const std::string first = secret(kFirst).fingerprint();
  const std::string second = secret(kSecond).fingerprint();
  ASSERT_TRUE(ring.add("app", secret(kFirst)));
  ASSERT_TRUE(ring.add("app", secret(kSecond)));
  EXPECT_EQ(minting_fingerprint(ring, "app"), first);
  ASSERT_TRUE(ring.set_minting("app", second));
  EXPECT_EQ(minting_fingerprint(ring, "app"), second);
  ASSERT_TRUE(ring.retire("app", second));
  EXPECT_EQ(ring.fingerprints("app"), std::vector<std::string>{first});
  ASSERT_TRUE(ring.retire("app", first));
  EXPECT_FALSE(ring.contains("app"));
  EXPECT_EQ(ring.retire("app", first).code(), ErrorCode::kNotFound);
  EXPECT_EQ(ring.set_minting("app", first).code(), ErrorCode::kNotFound);
}

TEST(KeyRing, AddingAnActiveSecretAgainChangesNothing) {
  KeyRing ring;
  ASSERT_TRUE(ring.add("app", secret(kFirst)));
  ASSERT_TRUE(ring.add("app", secret(kFirst)));
  EXPECT_EQ(ring.fingerprints("app").size(), 1U);
}

TEST(KeyRing, LimitsActiveSecrets) {
  KeyRing ring;
  for (char c = 'A'; c < 'A' + 8; ++c) {
    ASSERT_TRUE(ring.add("app", secret(std::string(20, 'A') + c + "A==")));
  }
  EXPECT_EQ(ring.add("app", secret("BBBBBBBBBBBBBBBBBBBBBA==")).code(), ErrorCode::kLimitExceeded);
}

TEST(KeyRing, CloneIsIndependent) {
  KeyRing ring;
  ASSERT_TRUE(ring.add("app", secret(kFirst)));
  KeyRing copy = ring.clone();
  ASSERT_TRUE(copy.add("other", secret(kSecond)));
  EXPECT_FALSE(ring.contains("other"));
  EXPECT_TRUE(copy.contains("app"));
}

// Counts how many MACs a failed verification costs.
int macs_of_a_failure(const KeyRing& ring, std::string_view key) {
  int count = 0;
  const Mac wrong{};
  EXPECT_FALSE(KeyRingAccess::verify(ring, KeyRingAccess::find(ring, key), wrong,
                                     [&](const MacKey& mac_key) {
                                       ++count;
                                       return mac_key.sign("message");
                                     }));
  return count;
}

TEST(KeyRing, AnUnknownApplicationCostsAsManyMacsAsAKnownOne) {
  KeyRing ring;
  ASSERT_TRUE(ring.add("one", secret(kFirst)));
  EXPECT_EQ(macs_of_a_failure(ring, "one"), 1);
  EXPECT_EQ(macs_of_a_failure(ring, "unknown"), 1);
  ASSERT_TRUE(ring.add("two", secret(kFirst)));
  ASSERT_TRUE(ring.add("two", secret(kSecond)));
  EXPECT_EQ(macs_of_a_failure(ring, "one"), 2);
  EXPECT_EQ(macs_of_a_failure(ring, "two"), 2);
  EXPECT_EQ(macs_of_a_failure(ring, "unknown"), 2);
}

}  // namespace
}  // namespace countersign
