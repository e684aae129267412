#include "accounts/password_hasher.h"

#include <array>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <sodium.h>

#include "base/random.h"

namespace countersign::accounts {
namespace {

using base::AccountId;
using base::SecretBytes;

constexpr HashOptions kCheap{12 * 1024, 3};  // the cheapest that is allowed

std::vector<SealingKey> keys(std::initializer_list<const char*> ids) {
  std::vector<SealingKey> made;
  for (const char* id : ids) {
    std::array<std::uint8_t, 32> raw{};
    raw[0] = static_cast<std::uint8_t>(id[1]);
    made.push_back({id, SecretBytes(std::span<const std::uint8_t>(raw))});
  }
  return made;
}

class PasswordHasherTest : public ::testing::Test {
 protected:
  PasswordHasher make(HashOptions options = kCheap,
                      std::initializer_list<const char*> ids = {"k1"}) {
    auto hasher = PasswordHasher::create(options, keys(ids), random);
    EXPECT_TRUE(hasher.ok());
    return *std::move(hasher);
  }

  base::SystemRandom random;
  const SecretBytes password{std::string_view("a long and quiet afternoon")};
  const SecretBytes other{std::string_view("a long and quiet afternooN")};
  const AccountId ann{"ann"};
  const AccountId bob{"bob"};
};

TEST_F(PasswordHasherTest, VerifiesWhatItHashedAndNothingElse) {
  const auto hasher = make();
  const std::string stored = *hasher.hash(password, ann);
  EXPECT_TRUE(hasher.verify(stored, ann, password).matches);
  EXPECT_FALSE(hasher.verify(stored, ann, password).needs_rehash);
  EXPECT_FALSE(hasher.verify(stored, ann, other).matches);
}

TEST_F(PasswordHasherTest, StoresNeitherTheHashNorTheSameTextTwice) {
  const auto hasher = make();
  const std::string stored = *hasher.hash(password, ann);
  EXPECT_EQ(stored.rfind("v1$k1$", 0), 0u) << stored;
  EXPECT_EQ(stored.find("argon2"), std::string::npos);
  EXPECT_NE(stored, *hasher.hash(password, ann));
}

TEST_F(PasswordHasherTest, AHashCopiedToAnotherRowOpensNothing) {
  const auto hasher = make();
  const std::string stored = *hasher.hash(password, ann);
  EXPECT_FALSE(hasher.verify(stored, bob, password).matches);
}

TEST_F(PasswordHasherTest, NoDamagedTextMatches) {
  const auto hasher = make();
  const std::string stored = *hasher.hash(password, ann);
  for (std::size_t i = 0; i < stored.size(); i += 7) {
    std::string damaged = stored;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(hasher.verify(damaged, ann, password).matches) << i;
  }
  EXPECT_FALSE(hasher.verify("", ann, password).matches);
  EXPECT_FALSE(hasher.verify("v1$", ann, password).matches);
  EXPECT_FALSE(hasher.verify("v1$k1$", ann, password).matches);
  EXPECT_FALSE(hasher.verify("v1$k1$AAAA", ann, password).matches);
}

TEST_F(PasswordHasherTest, OldKeysStayReadableAndWantARehash) {
  const std::string stored = *make(kCheap, {"k1"}).hash(password, ann);
  const auto rotated = make(kCheap, {"k2", "k1"});
  const PasswordVerdict verdict = rotated.verify(stored, ann, password);
  EXPECT_TRUE(verdict.matches);
  EXPECT_TRUE(verdict.needs_rehash);
  EXPECT_FALSE(make(kCheap, {"k2"}).verify(stored, ann, password).matches);
}

TEST_F(PasswordHasherTest, OtherParametersWantARehashOnlyAfterAMatch) {
  const std::string stored = *make(kCheap).hash(password, ann);
  const auto raised = make({19 * 1024, 2});
  EXPECT_TRUE(raised.verify(stored, ann, password).needs_rehash);
  EXPECT_FALSE(raised.verify(stored, ann, other).needs_rehash);
}

TEST_F(PasswordHasherTest, UnsealedPhcStringsVerifyAndWantARehash) {
  std::array<char, crypto_pwhash_STRBYTES> phc{};
  ASSERT_EQ(crypto_pwhash_str_alg(phc.data(), password.view().data(), password.view().size(), 3,
                                  12 * 1024 * 1024, crypto_pwhash_ALG_ARGON2ID13),
            0);
  const auto verdict = make().verify(phc.data(), ann, password);
  EXPECT_TRUE(verdict.matches);
  EXPECT_TRUE(verdict.needs_rehash);
}

TEST_F(PasswordHasherTest, StoredParametersBeyondTheBoundsAreNoMatchAndNoWork) {
  const auto hasher = make();
  const std::string tail = "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  for (const char* parameters :
       {"$argon2id$v=19$m=1048577,t=1,p=1", "$argon2id$v=19$m=12288,t=11,p=1",
        "$argon2id$v=19$m=12288,t=3,p=17", "$argon2id$v=19$m=99999999999999999999,t=3,p=1",
        "$argon2id$v=16$m=12288,t=3,p=1", "$argon2d$v=19$m=12288,t=3,p=1", "$2b$04$"}) {
    EXPECT_FALSE(hasher.verify(parameters + tail, ann, password).matches) << parameters;
  }
}

TEST_F(PasswordHasherTest, RefusesSettingsBelowTheFloor) {
  for (const HashOptions below :
       {HashOptions{19 * 1024 - 1, 2}, HashOptions{19 * 1024, 1}, HashOptions{12 * 1024 - 1, 3},
        HashOptions{46 * 1024 - 1, 1}, HashOptions{64 * 1024, 0}, HashOptions{7 * 1024, 5}}) {
    const auto hasher = PasswordHasher::create(below, keys({"k1"}), random);
    ASSERT_FALSE(hasher.ok()) << below.memory_kib << "/" << below.passes;
    EXPECT_EQ(hasher.code(), ErrorCode::kBadSetting);
  }
  for (const HashOptions equal :
       {HashOptions{}, HashOptions{46 * 1024, 1}, HashOptions{12 * 1024, 3}}) {
    EXPECT_TRUE(PasswordHasher::create(equal, keys({"k1"}), random).ok());
  }
  EXPECT_FALSE(PasswordHasher::create({2 * 1024 * 1024, 2}, keys({"k1"}), random).ok());
  EXPECT_FALSE(PasswordHasher::create({19 * 1024, 11}, keys({"k1"}), random).ok());
}

TEST_F(PasswordHasherTest, TheDecoyDoesTheWorkOfAVerification) {
  // Time is compared with a wide margin: doing nothing would be thousands of times faster.
  const auto hasher = make();
  const std::string stored = *hasher.hash(password, ann);
  const auto measure = [](auto work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::steady_clock::now() - start;
  };
  const auto real = measure([&] { static_cast<void>(hasher.verify(stored, ann, other)); });
  const auto decoy = measure([&] { hasher.verify_decoy(other); });
  EXPECT_GT(decoy, real / 10);
}

}  // namespace
}  // namespace countersign::accounts
