#include "accounts/hash_memory.h"

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/resource.h>

namespace countersign::accounts {
namespace {

constexpr std::size_t kMemory = 12 * 1024 * 1024;

std::string hash_of(std::string_view password, std::size_t memory = kMemory) {
  std::array<unsigned char, 32> out{};
  const std::array<unsigned char, crypto_pwhash_SALTBYTES> salt{1, 2, 3};
  const int outcome = crypto_pwhash(out.data(), out.size(), password.data(), password.size(),
                                    salt.data(), 3, memory, crypto_pwhash_ALG_ARGON2ID13);
  return outcome == 0 ? std::string(out.begin(), out.end()) : std::string();
}

long page_faults() {
  rusage usage{};
  EXPECT_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
  return usage.ru_minflt;
}

class HashMemoryTest : public testing::Test {
 protected:
  HashMemoryTest() { EXPECT_GE(sodium_init(), 0); }
};

TEST_F(HashMemoryTest, HashesAreTheSameInMemoryThatOthersLeftFull) {
  const std::string one = hash_of("one");
  const std::string two = hash_of("two");
  ASSERT_FALSE(one.empty());
  HashMemory memory;
  EXPECT_EQ(hash_of("one"), one);
  EXPECT_EQ(hash_of("two"), two);
  void* const dirty = memory.take(kMemory);
  ASSERT_NE(dirty, nullptr);
  std::memset(dirty, 0xA5, kMemory);
  EXPECT_TRUE(memory.give_back(dirty));
  EXPECT_EQ(hash_of("one"), one);
}

TEST_F(HashMemoryTest, TheSecondHashMapsNothing) {
  HashMemory memory;
  hash_of("one");
  EXPECT_GE(memory.size(), kMemory) << "libsodium's mappings do not come here";
  const long before = page_faults();
  hash_of("two");
  EXPECT_LT(page_faults() - before, 100) << "12 MiB are 3072 pages";
}

TEST_F(HashMemoryTest, WhatIsReleasedIsGoneAndTheNextHashMapsAnew) {
  HashMemory memory;
  const std::string one = hash_of("one");
  memory.release();
  EXPECT_EQ(memory.size(), 0u);
  EXPECT_EQ(hash_of("one"), one);
  EXPECT_GE(memory.size(), kMemory);
}

TEST_F(HashMemoryTest, GrowsToTheLargestHash) {
  HashMemory memory;
  hash_of("one");
  const std::string large = hash_of("one", 2 * kMemory);
  EXPECT_GE(memory.size(), 2 * kMemory);
  hash_of("two");
  EXPECT_GE(memory.size(), 2 * kMemory);
  EXPECT_EQ(hash_of("one", 2 * kMemory), large);
}

TEST_F(HashMemoryTest, KeepsNeitherTheSmallNorTheHugeAndServesOneAtATime) {
  HashMemory memory;
  EXPECT_EQ(memory.take(4096), nullptr);
  EXPECT_EQ(memory.take(std::size_t{1} << 30), nullptr);
  void* const first = memory.take(kMemory);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(memory.take(kMemory), nullptr);
  EXPECT_FALSE(hash_of("one").empty()) << "served by the system meanwhile";
  EXPECT_TRUE(memory.give_back(first));
  EXPECT_FALSE(memory.give_back(first));
}

TEST_F(HashMemoryTest, AThreadWithoutOneGetsItsMemoryFromTheSystem) {
  { const HashMemory memory; }
  const long before = page_faults();
  EXPECT_FALSE(hash_of("one").empty());
  EXPECT_GT(page_faults() - before, 0);
}

}  // namespace
}  // namespace countersign::accounts
