// Values that an independent program (Python's hashlib) computes from the documented formats.
#include "storage/message_ids.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace countersign::storage {
namespace {

const Identity kAnn{IdentityType::kUsername, "ann"};
const Identity kBob{IdentityType::kEmail, "bob@example.org"};

TEST(MessageIds, AConversationIsNamedAfterItsMembers) {
  const std::string id = "c-3trsnqrxnhfhfmva262jc4utn5";
  EXPECT_EQ(direct_conversation_id("application", {kAnn, kBob}), id);
  EXPECT_EQ(direct_conversation_id("application", {kBob, kAnn, kBob}), id);
  EXPECT_EQ(id.size(), 28u);
}

TEST(MessageIds, LengthsKeepMembersApart) {
  const auto id = [](std::vector<std::string> names) {
    std::vector<Identity> members;
    for (std::string& name : names) {
      members.push_back(Identity{IdentityType::kUsername, std::move(name)});
    }
    return direct_conversation_id("a", std::move(members));
  };
  EXPECT_NE(id({"ab", "c"}), id({"a", "bc"}));
  EXPECT_NE(id({"a"}), direct_conversation_id("a", {Identity{IdentityType::kEmail, "a"}}));
}

TEST(MessageIds, AChainHashesWhatCameBefore) {
  EXPECT_EQ(first_chain(), std::string(8, '\0'));
  const std::string chain = next_chain(first_chain(), "0123456789abcdef", 258);
  EXPECT_EQ(base::hex_encode(base::as_bytes(chain)), "8e331ac489cf77a4");
}

TEST(MessageIds, IdentitiesAreOrderedByTypeThenBytes) {
  const std::vector<Identity> sorted = sorted_identities(
      {{IdentityType::kNumber, "+1"}, kBob, kAnn, {IdentityType::kUsername, "Z"}, kAnn});
  ASSERT_EQ(sorted.size(), 4u);
  EXPECT_EQ(sorted[0].endpoint, "Z");
  EXPECT_EQ(sorted[1], kAnn);
  EXPECT_EQ(sorted[2], kBob);
  EXPECT_EQ(sorted[3].endpoint, "+1");
}

}  // namespace
}  // namespace countersign::storage
