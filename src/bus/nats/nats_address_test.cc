#include "bus/nats/nats_address.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/nats/nats_test_support.h"

namespace countersign::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Result<NatsAddress> read(const std::string& url, const std::string& password_file = "") {
  NatsOptions options;
  options.url = url;
  options.password_file = password_file;
  return read_nats_address(options);
}

TEST(NatsAddress, NamesServersWithTheirPorts) {
  const auto address = read("nats://a.example,nats://10.0.0.1:1,nats://[::1]:2,nats://[::1]/");
  ASSERT_TRUE(address.ok());
  EXPECT_THAT(address->servers, ElementsAre("nats://a.example:4222", "nats://10.0.0.1:1",
                                            "nats://[::1]:2", "nats://[::1]:4222"));
  EXPECT_FALSE(address->tls);
  EXPECT_EQ(address->user + address->password + address->token, "");
}

TEST(NatsAddress, TakesUserAndPasswordOutOfTheUrl) {
  const auto address =
      read("tls://gate%40way:s%3Acr%25et@a,nats://gate%40way:s%3Acr%25et@b:1,tls://c");
  ASSERT_TRUE(address.ok());
  EXPECT_THAT(address->servers, ElementsAre("nats://a:4222", "nats://b:1", "nats://c:4222"));
  EXPECT_EQ(address->user, "gate@way");
  EXPECT_EQ(address->password, "s:cr%et");
  EXPECT_TRUE(address->tls);
}

TEST(NatsAddress, UserWithoutPasswordIsAToken) {
  const auto address = read("nats://t0ken@a");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->token, "t0ken");
  EXPECT_EQ(address->user, "");
}

TEST(NatsAddress, FileHoldsThePasswordOfTheUserOrAToken) {
  const TestFolder folder;
  std::ofstream(folder.file("password")) << "s3cret\n";
  const auto with_user = read("nats://gateway@a", folder.file("password"));
  ASSERT_TRUE(with_user.ok());
  EXPECT_EQ(with_user->user, "gateway");
  EXPECT_EQ(with_user->password, "s3cret");
  const auto token = read("nats://a", folder.file("password"));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->token, "s3cret");
  EXPECT_EQ(read("nats://u:p@a", folder.file("password")).code(), ErrorCode::kBadSetting);
  EXPECT_EQ(read("nats://a", folder.file("absent")).code(), ErrorCode::kUnreadableFile);
  std::ofstream(folder.file("empty")) << "\n";
  EXPECT_EQ(read("nats://a", folder.file("empty")).code(), ErrorCode::kBadSetting);
}

TEST(NatsAddress, RefusesWhatIsNoneWithoutQuotingIt) {
  for (const std::string url : {"",
                                ",",
                                "a",
                                "http://s3cret@a",
                                "nats://",
                                "nats://s3cret@",
                                "nats://@a",
                                "nats://:s3cret@a",
                                "nats://u:s3cret%4@a",
                                "nats://u:s3cret%zz@a",
                                "nats://u:s3cret%00@a",
                                "nats://a:0",
                                "nats://a:65536",
                                "nats://a:s3cret",
                                "nats://u:s3cret@a b",
                                "nats://u:s3cret@a?x=1",
                                "nats://u:s3cret@[::1",
                                "nats://u:s3cret@a,",
                                "nats://u:s3cret@a,nats://u:other@b",
                                "nats://u:s3cret@a\r\nPUB"}) {
    const auto address = read(url);
    ASSERT_FALSE(address.ok()) << url;
    EXPECT_EQ(address.code(), ErrorCode::kBadSetting) << url;
    EXPECT_THAT(address.error().detail, Not(HasSubstr("s3cret"))) << url;
    EXPECT_THAT(address.error().detail, HasSubstr("bus.url")) << url;
  }
}

}  // namespace
}  // namespace countersign::bus
