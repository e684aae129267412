#include "gateway/instance_keys.h"

#include <set>

#include <gtest/gtest.h>

namespace countersign::gateway {
namespace {

const std::string kMaster = "0123456789abcdef0123456789abcdef";

InstanceKeys keys(std::string id = "k1", const std::string& master = kMaster) {
  return InstanceKeys(std::move(id), base::as_bytes(master));
}

TEST(InstanceKeys, DerivesTheSameSecretAlwaysAlsoInAnotherProcess) {
  EXPECT_EQ(keys().secret("k1", "app", "id", 1), keys().secret("k1", "app", "id", 1));
  EXPECT_EQ(keys().secret("k1", "app", "id", 1)->size(), 44U);
}

TEST(InstanceKeys, DerivesAnotherSecretForEveryOtherInput) {
  std::set<std::string> secrets;
  secrets.insert(*keys().secret("k1", "app", "id", 1));
  secrets.insert(*keys().secret("k1", "app", "id", 2));
  secrets.insert(*keys().secret("k1", "app", "id1", 1));
  secrets.insert(*keys().secret("k1", "appi", "d", 1));  // where one part ends is part of the input
  secrets.insert(*keys().secret("k1", "ap", "pid", 1));
  secrets.insert(*keys("k1", kMaster + "x").secret("k1", "app", "id", 1));
  EXPECT_EQ(secrets.size(), 6U);
}

TEST(InstanceKeys, KnowsEarlierKeysAndNoOthers) {
  const std::string earlier = "an earlier master key of 32 bytes";
  InstanceKeys both = keys("k2");
  both.add_earlier("k1", base::as_bytes(earlier));
  EXPECT_EQ(both.current_key_id(), "k2");
  EXPECT_EQ(both.secret("k1", "app", "id", 1), keys("k1", earlier).secret("k1", "app", "id", 1));
  EXPECT_EQ(both.secret("k0", "app", "id", 1), std::nullopt);
}

TEST(InstanceKeys, NamesOneInstanceForOneDeviceOfOneUser) {
  const Identity ann{IdentityType::kUsername, "ann"};
  const std::string id = keys().instance_for("app", ann, "tab");
  EXPECT_EQ(id.size(), 22U);
  EXPECT_EQ(keys().instance_for("app", ann, "tab"), id);
  EXPECT_NE(keys().instance_for("app", ann, "tab2"), id);
  EXPECT_NE(keys().instance_for("app2", ann, "tab"), id);
  EXPECT_NE(keys().instance_for("app", {IdentityType::kEmail, "ann"}, "tab"), id);
  EXPECT_NE(keys().instance_for("app", {IdentityType::kUsername, "annt"}, "ab"), id);
}

TEST(MasterKeyId, IsShortAndDependsOnTheKey) {
  EXPECT_EQ(master_key_id(base::as_bytes(kMaster)).size(), 16U);
  EXPECT_NE(master_key_id(base::as_bytes(kMaster)), master_key_id(base::as_bytes(kMaster + "x")));
}

}  // namespace
}  // namespace countersign::gateway
