#include "config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/toml_file.h"

namespace countersign::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Settings, DefaultsPutEverythingUnderTheDataDirectory) {
  const auto settings = load_settings(std::nullopt, {}, {{"data_dir", "/srv/cs"}});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->storage_url, "sqlite:/srv/cs/countersign.db");
  EXPECT_EQ(settings->master_key_file, "/srv/cs/master.key");
}

TEST(Settings, BusIsLocalOrNats) {
  for (const std::string good : {"local:", "nats://a", "tls://u@a:1,tls://b:2"}) {
    EXPECT_TRUE(load_settings(std::nullopt, {}, {{"bus.url", good}}).ok()) << good;
  }
  for (const std::string bad : {"", "local", "http://u:s3cret@a", "redis://u:s3cret@a"}) {
    const auto settings = load_settings(std::nullopt, {}, {{"bus.url", bad}});
    ASSERT_FALSE(settings.ok()) << bad;
    EXPECT_THAT(settings.error().detail, HasSubstr("bus.url"));
    EXPECT_THAT(settings.error().detail, Not(HasSubstr("s3cret")));
  }
  EXPECT_FALSE(load_settings(std::nullopt, {}, {{"bus.ca_file", "/ca.pem"}}).ok());
  EXPECT_TRUE(
      load_settings(std::nullopt, {}, {{"bus.url", "nats://a"}, {"bus.ca_file", "/ca.pem"}}).ok());
}

TEST(Settings, TheStoreIsSqliteOrPostgresAndNoErrorShowsItsPassword) {
  for (const auto* good : {"sqlite:x.db", "postgresql://ann:pw@db/app", "postgres:///app"}) {
    EXPECT_TRUE(load_settings(std::nullopt, {}, {{"storage.url", good}}).ok()) << good;
  }
  for (const auto* bad : {"mysql://ann:hunter2@db/app", "sqlite:", "postgresql:hunter2", "hunter2",
                          "postgresql//ann:hunter2@db"}) {
    const auto settings = load_settings(std::nullopt, {}, {{"storage.url", bad}});
    ASSERT_FALSE(settings.ok()) << bad;
    EXPECT_EQ(settings.code(), ErrorCode::kBadSetting);
    EXPECT_EQ(settings.error().detail.find("hunter2"), std::string::npos);
  }
}

TEST(Settings, FlagsOverrideTheEnvironment) {
  const auto settings = load_settings(
      std::nullopt, {{"COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:1"}, {"COUNTERSIGN_DATA_DIR", "/a"}},
      {{"server.listen", "127.0.0.1:2"}});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->server_listen, "127.0.0.1:2");
  EXPECT_EQ(settings->data_dir, "/a");
}

TEST(Settings, UnknownKeyNamesTheNearestKnownOne) {
  const auto settings = load_settings(std::nullopt, {{"COUNTERSIGN_SERVER__LISTN", "x"}}, {});
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.code(), ErrorCode::kUnknownSetting);
  EXPECT_THAT(settings.error().detail, HasSubstr("did you mean server.listen?"));
}

TEST(Settings, KeyInTheWrongSectionNamesTheRightOne) {
  const auto settings = load_settings(std::nullopt, {}, {{"server.sign_up", "open"}});
  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.error().detail, HasSubstr("accounts.sign_up"));
}

TEST(Settings, VariableWithoutASectionThatSetsNothingIsReportedNotRefused) {
  const Environment environment = {{"COUNTERSIGN_DATADIR", "x"}};
  EXPECT_TRUE(load_settings(std::nullopt, environment, {}).ok());
  EXPECT_THAT(unused_variables(environment), ElementsAre("COUNTERSIGN_DATADIR"));
}

TEST(Settings, NumberOutsideItsRangeNamesTheRange) {
  const auto settings = load_settings(std::nullopt, {}, {{"accounts.argon2_memory_kib", "1024"}});
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.code(), ErrorCode::kBadSetting);
  EXPECT_THAT(settings.error().detail, HasSubstr("from 19456 to 1048576"));
}

TEST(Settings, WordOutsideItsChoicesListsThem) {
  const auto settings = load_settings(std::nullopt, {}, {{"issuing.identity", "phone"}});
  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.error().detail, HasSubstr("username, email, email_as_username"));
}

TEST(Settings, CertificateWithoutKeyIsRefused) {
  EXPECT_FALSE(load_settings(std::nullopt, {}, {{"server.tls_certificate", "a.pem"}}).ok());
}

TEST(Settings, KeyWithoutSecretFileIsRefused) {
  EXPECT_FALSE(load_settings(std::nullopt, {}, {{"application.key", "k"}}).ok());
}

TEST(Settings, ListsOfTheEnvironmentAreSeparatedByCommas) {
  const auto settings = load_settings(
      std::nullopt,
      {{"COUNTERSIGN_SERVER__ALLOWED_ORIGINS", "https://A.example:443, http://b:8081/"}}, {});
  ASSERT_TRUE(settings.ok());
  EXPECT_THAT(settings->server_allowed_origins, ElementsAre("https://a.example", "http://b:8081"));
}

TEST(Settings, OriginWithAPathIsRefused) {
  EXPECT_FALSE(load_settings(std::nullopt, {}, {{"server.allowed_origins", "https://a/x"}}).ok());
}

TEST(Settings, EveryDocumentedDefaultReadsBackAsItself) {
  std::string text = document_as_toml();
  std::string without_marks;
  std::size_t at = 0;
  while (at < text.size()) {  // a line "#name = value" loses its mark; prose keeps it
    const auto end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
    without_marks += line + "\n";
    at = end + 1;
  }
  const auto entries = read_toml(without_marks, "doc");
  ASSERT_TRUE(entries.ok()) << entries.error().detail;
  EXPECT_EQ(entries->size(), setting_rows().size());
}

TEST(TomlFile, BadSyntaxNamesTheLine) {
  const auto entries = read_toml("a = 1\nb = = 2\n", "x.toml");
  ASSERT_FALSE(entries.ok());
  EXPECT_THAT(entries.error().detail, HasSubstr("x.toml line 2"));
}

TEST(TomlFile, ValueOfAKindThatNoSettingHasIsRefused) {
  EXPECT_FALSE(read_toml("a = 1.5\n", "x.toml").ok());
  EXPECT_FALSE(read_toml("[a.b]\nc = 1\n", "x.toml").ok());
}

TEST(HostPort, ReadsTheThreeForms) {
  EXPECT_EQ(parse_host_port("k", "127.0.0.1:80")->host, "127.0.0.1");
  EXPECT_EQ(parse_host_port("k", "[::1]:80")->host, "::1");
  EXPECT_EQ(parse_host_port("k", ":0")->host, "localhost");
  EXPECT_FALSE(parse_host_port("k", "::1:80").ok());
  EXPECT_FALSE(parse_host_port("k", "a").ok());
  EXPECT_FALSE(parse_host_port("k", "a:65536").ok());
  EXPECT_FALSE(parse_host_port("k", "a:").ok());
}

}  // namespace
}  // namespace countersign::config
