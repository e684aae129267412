// The development certificate: what is made, kept and made again.
#include "app/dev_certificate.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "app/files.h"

namespace countersign::app {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::vector<DevName> names_with(std::vector<std::string> more = {}) {
  auto names = dev_names(more);
  EXPECT_TRUE(names.ok());
  return *names;
}

std::string refusal(const std::string& name) {
  const std::string more[] = {name};
  const auto names = dev_names(more);
  return names ? "" : names.error().detail;
}

class DevCertificateTest : public ::testing::Test {
 protected:
  DevCertificateTest() {
    std::string pattern = ::testing::TempDir() + "countersign-cert-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~DevCertificateTest() override { std::filesystem::remove_all(directory_); }

  DevCertificate make(const std::vector<DevName>& names) {
    auto made = make_dev_certificate(directory_, names, now_);
    EXPECT_TRUE(made.ok());
    return *made;
  }
  std::optional<DevCertificate> find(const std::vector<DevName>& names,
                                     std::chrono::hours later = 0h) const {
    return find_dev_certificate(directory_, names, now_ + later);
  }

  std::string directory_;
  const base::SystemTime now_{1'800'000'000s};
};

TEST_F(DevCertificateTest, WritesThreeFilesAndKeepsTheKeyPrivate) {
  const auto files = make(names_with());
  EXPECT_TRUE(files.made);
  EXPECT_THAT(*read_small_file(files.certificate_file), HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(*read_small_file(files.key_file), HasSubstr("PRIVATE KEY"));
  EXPECT_THAT(*read_small_file(files.authority_file), ::testing::Not(HasSubstr("PRIVATE")));
  struct stat status {};
  ASSERT_EQ(::stat(files.key_file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
}

TEST_F(DevCertificateTest, IsFoundAgainAsItWasMade) {
  const auto names = names_with({"fe80::1", "Chat.Test", "192.168.1.7"});
  const auto made = make(names);
  const auto found = find(names);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->made);
  EXPECT_EQ(found->names, names);
  EXPECT_EQ(found->authority_sha256, made.authority_sha256);
  EXPECT_EQ(found->expires_at, now_ + 397 * 24h);
}

TEST_F(DevCertificateTest, IsKeptForFewerNamesAndNotForMore) {
  make(names_with({"chat.test"}));
  EXPECT_TRUE(find(names_with()));
  EXPECT_FALSE(find(names_with({"chat.test", "other.test"})));
}

TEST_F(DevCertificateTest, CountsAsGoneThirtyDaysBeforeItsEnd) {
  make(names_with());
  EXPECT_TRUE(find(names_with(), 367 * 24h));
  EXPECT_FALSE(find(names_with(), 367 * 24h + 1h));
}

TEST_F(DevCertificateTest, CountsAsGoneWhenItsFilesDoNotBelongTogether) {
  EXPECT_FALSE(find(names_with())) << "there are none";
  const auto first = make(names_with());
  const auto authority = *read_small_file(first.authority_file);
  const auto key = *read_small_file(first.key_file);
  make(names_with());
  EXPECT_TRUE(find(names_with()));
  const auto later = *read_small_file(first.authority_file);
  ASSERT_TRUE(write_private_file(first.authority_file, authority));
  EXPECT_FALSE(find(names_with())) << "another authority";
  ASSERT_TRUE(write_private_file(first.authority_file, later));
  ASSERT_TRUE(write_private_file(first.key_file, key));
  EXPECT_FALSE(find(names_with())) << "another key";
  ASSERT_TRUE(write_private_file(first.key_file, "nonsense"));
  EXPECT_FALSE(find(names_with()));
}

TEST(DevNames, AreThoseOfThisMachineAndItsNetwork) {
  for (const char* good : {"a.localhost", "x.y.test", "printer.local", "db.internal", "n.home.arpa",
                           "10.1.2.3", "172.31.0.1", "169.254.1.1", "fd00::1", "fe80::1"}) {
    EXPECT_EQ(refusal(good), "") << good;
  }
  for (const char* bad : {"example.org", "notlocalhost", "test.example", "8.8.8.8", "172.32.0.1",
                          "2001:db8::1", "xlocal"}) {
    EXPECT_THAT(refusal(bad), HasSubstr("real certificate")) << bad;
  }
  for (const char* bad : {"", "*.localhost", "-a.test", "a-.test", "a..test", ".test", "a_b.test",
                          "a.test,DNS:example.org", "a b.test", "10.0.0.1/8", "z\xc3\xbc.test"}) {
    EXPECT_THAT(refusal(bad), HasSubstr("not a host name")) << bad;
  }
  EXPECT_THAT(refusal(std::string(64, 'a') + ".test"), HasSubstr("not a host name"));
}

TEST(DevNames, ComeOnceEachInOneForm) {
  const auto names = names_with({"LOCALHOST", "127.0.0.1", "0:0:0:0:0:0:0:1", "FD00:0::1"});
  EXPECT_EQ(names.size(), 4u);
  EXPECT_EQ(names.back(), (DevName{true, "fd00::1"}));
  EXPECT_FALSE(dev_names(std::vector<std::string>(17, "a.test")).ok());
}

}  // namespace
}  // namespace countersign::app
