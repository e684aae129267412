// Keys name their instance, and nobody else can make them.
#include "gateway/classic/classic_keys.h"

#include <cctype>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace countersign::gateway::classic {
namespace {

const base::InstanceId kInstance("3f1c2a4e-1d0b-4f7e-9a55-0f6f1f0e7c11");
const storage::UserKey kAnn{"app", {IdentityType::kUsername, "ann"}};

ClassicKeys keys_of(std::string_view master) { return ClassicKeys(base::as_bytes(master)); }

TEST(ClassicKeys, NameTheirInstanceOnEveryNode) {
  const ClassicKeys here = keys_of("0123456789abcdef");
  const ClassicKeys there = keys_of("0123456789abcdef");
  EXPECT_EQ(there.publisher(here.publish_key(kInstance)), kInstance);
  EXPECT_EQ(there.subscriber(here.subscribe_key(kInstance)), kInstance);
  EXPECT_EQ(here.transport_key("app", "d.1"), there.transport_key("app", "d.1"));
  EXPECT_EQ(here.transport_channel(kAnn), there.transport_channel(kAnn));
}

TEST(ClassicKeys, AreGoodForOnePurposeAlone) {
  const ClassicKeys keys = keys_of("0123456789abcdef");
  EXPECT_FALSE(keys.publisher(keys.subscribe_key(kInstance)));
  EXPECT_FALSE(keys.subscriber(keys.publish_key(kInstance)));
}

TEST(ClassicKeys, OfAnotherMasterKeyAreNobodys) {
  const ClassicKeys keys = keys_of("0123456789abcdef");
  EXPECT_FALSE(keys.publisher(keys_of("fedcba9876543210").publish_key(kInstance)));
}

TEST(ClassicKeys, AreRefusedWithAnyCharacterChangedCutOrAdded) {
  const ClassicKeys keys = keys_of("0123456789abcdef");
  const std::string key = keys.publish_key(kInstance);
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::string changed = key;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(keys.publisher(changed)) << changed;
    EXPECT_FALSE(keys.publisher(key.substr(0, i))) << i;
  }
  EXPECT_FALSE(keys.publisher(key + "0"));
  EXPECT_FALSE(keys.publisher(""));
}

TEST(ClassicKeys, AndChannelsCanStandInAPathAndInAList) {
  const ClassicKeys keys = keys_of("0123456789abcdef");
  const storage::UserKey odd{"app", {IdentityType::kEmail, "a,b/c -pnpres@example.org"}};
  for (const std::string& name :
       {keys.publish_key(kInstance), keys.subscribe_key(kInstance), keys.transport_channel(odd),
        keys.broadcast_channel(kInstance), keys.signal_channel(kInstance)}) {
    EXPECT_EQ(name.find("-pnpres"), std::string::npos);
    for (const char c : name) {
      EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-') << name;
    }
  }
}

TEST(ClassicKeys, AndChannelsAreAllDifferent) {
  const ClassicKeys keys = keys_of("0123456789abcdef");
  const base::InstanceId other("other");
  const std::set<std::string> all{
      keys.broadcast_channel(kInstance),
      keys.signal_channel(kInstance),
      keys.broadcast_channel(other),
      keys.signal_channel(other),
      keys.transport_channel(kAnn),
      keys.transport_channel({"app", {IdentityType::kEmail, "ann"}}),
      keys.transport_channel({"ap", {IdentityType::kUsername, "pann"}}),
      keys.instance_key(kInstance),
      keys.transport_key("app", "d.1"),
      keys.transport_key("ap", "pd.1"),
  };
  EXPECT_EQ(all.size(), 10U);
  EXPECT_EQ(keys.instance_key(kInstance).size(), 32U);
}

}  // namespace
}  // namespace countersign::gateway::classic
