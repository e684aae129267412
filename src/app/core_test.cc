// The data directory, the master key, sealing and applications, on a real store.
#include "app/core.h"

#include <filesystem>
#include <fstream>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "countersign/user_ticket.h"

#include "app/sealing.h"
#include "base/encoding.h"

namespace countersign::app {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class CoreTest : public ::testing::Test {
 protected:
  CoreTest() {
    std::string pattern = ::testing::TempDir() + "countersign-core-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~CoreTest() override { std::filesystem::remove_all(directory_); }

  Result<std::unique_ptr<Core>> open(Core::Purpose purpose = Core::Purpose::kCommand,
                                     config::Overrides more = {}) {
    more.emplace_back("data_dir", path("data"));
    auto settings = config::load_settings(std::nullopt, {}, more);
    if (!settings) return settings.failure();
    return Core::open(*settings, purpose);
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static unsigned mode(const std::string& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 ? status.st_mode & 07777u : 0;
  }
  static void write(const std::string& file, std::string_view text) {
    std::ofstream(file, std::ios::binary) << text;
  }

  std::string directory_;
};

TEST_F(CoreTest, FirstStartMakesEverythingPrivate) {
  ASSERT_TRUE(open().ok());
  EXPECT_EQ(mode(path("data")), 0700u);
  for (const auto* name : {"app.key", "app.secret", "master.key", "countersign.db"}) {
    EXPECT_EQ(mode(path("data/") + name), 0600u) << name;
  }
}

TEST_F(CoreTest, LaterStartsKeepKeyAndSecret) {
  const auto first = open();
  ASSERT_TRUE(first.ok());
  const auto key = (*first)->applications().default_key();
  const auto prints = (*first)->applications().ring()->fingerprints(key);
  const auto second = open();
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->applications().default_key(), key);
  EXPECT_EQ((*second)->applications().ring()->fingerprints(key), prints);
}

TEST_F(CoreTest, ManyFirstStartsAtOnceAgreeOnKeyAndSecret) {
  for (int round = 0; round < 5; ++round) {
    std::filesystem::remove_all(path("data"));
    std::vector<std::future<Result<std::string>>> starts;
    for (int i = 0; i < 4; ++i) {
      starts.push_back(std::async(std::launch::async, [this]() -> Result<std::string> {
        const auto core = open();
        if (!core) return core.failure();
        const auto key = (*core)->applications().default_key();
        return key + (*core)->applications().ring()->fingerprints(key).front() +
               (*core)->master_key().id;
      }));
    }
    const auto first = starts[0].get();
    ASSERT_TRUE(first.ok()) << first.error().detail;
    for (std::size_t i = 1; i < starts.size(); ++i) {
      const auto other = starts[i].get();
      ASSERT_TRUE(other.ok()) << other.error().detail;
      EXPECT_EQ(*other, *first);
    }
  }
}

TEST_F(CoreTest, SecondServerInOneDataDirectoryIsRefusedByProcess) {
  const auto first = open(Core::Purpose::kServe);
  ASSERT_TRUE(first.ok());
  const auto second = open(Core::Purpose::kServe);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.code(), ErrorCode::kDataDirLocked);
  EXPECT_THAT(second.error().detail, HasSubstr(std::to_string(getpid())));
  EXPECT_TRUE(open(Core::Purpose::kCommand).ok()) << "commands work beside a server";
}

TEST_F(CoreTest, AnotherMasterKeyIsRefused) {
  ASSERT_TRUE(open().ok());
  write(path("data/master.key"), base::base64url_encode(std::vector<std::uint8_t>(32, 7)) + "\n");
  const auto again = open();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.code(), ErrorCode::kMasterKeyMismatch);
}

TEST_F(CoreTest, MissingMasterKeyIsNotReplaced) {
  ASSERT_TRUE(open().ok());
  std::filesystem::remove(path("data/master.key"));
  const auto again = open();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.code(), ErrorCode::kUnreadableFile);
  EXPECT_FALSE(file_exists(path("data/master.key")));
}

TEST_F(CoreTest, MissingSecretBesideAKeyIsNotReplaced) {
  ASSERT_TRUE(open().ok());
  std::filesystem::remove(path("data/app.secret"));
  const auto again = open();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.code(), ErrorCode::kUnreadableFile);
  EXPECT_THAT(again.error().detail, HasSubstr("app.secret"));
}

TEST_F(CoreTest, SecretThatIsNotBase64OrTooShortIsRefusedWithoutShowingIt) {
  ASSERT_TRUE(open().ok());
  for (const auto* bad : {"not base64!", "c2hvcnQ=", "", "AAAAAAAAAAAAAAAAAAAAAA"}) {
    write(path("data/app.secret"), bad);
    const auto again = open();
    ASSERT_FALSE(again.ok()) << bad;
    EXPECT_EQ(again.code(), ErrorCode::kBadSecret) << bad;
    EXPECT_THAT(again.error().detail, HasSubstr("app.secret"));
    if (*bad != '\0') {
      EXPECT_EQ(again.error().detail.find(bad), std::string::npos);
    }
  }
}

TEST_F(CoreTest, OperatorsOwnKeyAndSecretAreUsedAndNotWritten) {
  write(path("mine.secret"), "ax8hTTQJF0OPXL32r1LHMA==\n");
  const config::Overrides own = {{"application.key", "a32e5a8d-f7d8-411c-9645-9038e8dd051d"},
                                 {"application.secret_file", path("mine.secret")}};
  const auto core = open(Core::Purpose::kCommand, own);
  ASSERT_TRUE(core.ok()) << core.error().detail;
  EXPECT_TRUE((*core)->applications().ring()->contains("a32e5a8d-f7d8-411c-9645-9038e8dd051d"));
  EXPECT_FALSE(file_exists(path("data/app.secret")));
  const auto rotated = (*core)->applications().rotate_secret("a32e5a8d-f7d8-411c-9645-9038e8dd051d",
                                                             (*core)->clock().now());
  ASSERT_FALSE(rotated.ok());
  EXPECT_EQ(rotated.code(), ErrorCode::kBadState);
}

TEST_F(CoreTest, RotatedSecretMintsAndTheOldOneVerifiesUntilRetired) {
  const auto core = open();
  ASSERT_TRUE(core.ok());
  auto& applications = (*core)->applications();
  const auto key = applications.default_key();
  const auto now = std::chrono::floor<std::chrono::seconds>((*core)->clock().now());
  const RawUserTicket raw{{IdentityType::kUsername, "ada"}, key, now};
  const auto old_ticket = mint_user_ticket(*applications.ring(), raw);
  ASSERT_TRUE(old_ticket.ok());
  const auto old_print = applications.ring()->fingerprints(key).front();

  const auto rotated = applications.rotate_secret(key, now);
  ASSERT_TRUE(rotated.ok()) << rotated.error().detail;
  EXPECT_EQ(applications.ring()->fingerprints(key).front(), rotated->fingerprint);
  const auto verifies = [&] {
    return UserTicketVerifier(applications.ring(), Policy::default_policy())
        .verify(old_ticket->text(), now)
        .ok();
  };
  EXPECT_TRUE(verifies());
  EXPECT_EQ(applications.retire_secret(key, rotated->fingerprint).code(), ErrorCode::kBadState);
  ASSERT_TRUE(applications.retire_secret(key, old_print).ok());
  EXPECT_FALSE(verifies());
  EXPECT_EQ(applications.retire_secret(key, old_print).code(), ErrorCode::kAbsent);
}

TEST_F(CoreTest, RotatesAlsoWhenAnEarlierRotationEndedHalfWay) {
  const auto core = open();
  ASSERT_TRUE(core.ok());
  auto& applications = (*core)->applications();
  const auto old_secret = read_small_file(path("data/app.secret"));
  ASSERT_TRUE(old_secret.ok());
  ASSERT_TRUE(applications.rotate_secret(applications.default_key(), (*core)->clock().now()).ok());
  // As after a crash between the store and the file: the store keeps what the file still holds.
  ASSERT_TRUE(write_private_file(path("data/app.secret"), *old_secret + "\n").ok());
  ASSERT_TRUE(applications.reload().ok());
  const auto again = applications.rotate_secret(applications.default_key(), (*core)->clock().now());
  ASSERT_TRUE(again.ok()) << again.error().detail;
  EXPECT_EQ(applications.ring()->fingerprints(applications.default_key()).front(),
            again->fingerprint);
}

TEST_F(CoreTest, ChangesOfAnotherProcessArriveWithTheGeneration) {
  const auto server = open(Core::Purpose::kServe);
  const auto command = open();
  ASSERT_TRUE(server.ok() && command.ok());
  EXPECT_FALSE((*server)->applications().refresh().value());
  const auto made = (*command)->applications().create("second", (*command)->clock().now());
  ASSERT_TRUE(made.ok()) << made.error().detail;
  EXPECT_TRUE((*server)->applications().refresh().value());
  EXPECT_TRUE((*server)->applications().ring()->contains(made->application_key));
  const auto all = (*server)->applications().list();
  ASSERT_TRUE(all.ok());
  EXPECT_THAT(*all, SizeIs(2));
}

TEST_F(CoreTest, TimeNeverRunsBehindTheStoredMarkHoweverFarAheadItIs) {
  const auto mark = base::SystemClock().now() + std::chrono::hours(48);
  {
    const auto core = open();
    ASSERT_TRUE(core.ok());
    ASSERT_TRUE((*core)
                    ->store()
                    .meta()
                    .set("time_high_water_us", std::to_string(mark.time_since_epoch().count()))
                    .ok());
  }
  const auto core = open();
  ASSERT_TRUE(core.ok());
  EXPECT_GE((*core)->clock().now(), mark);
}

TEST_F(CoreTest, EachStartRaisesTheStoredMark) {
  const auto core = open();
  ASSERT_TRUE(core.ok());
  const auto first = (*core)->store().meta().get("time_high_water_us");
  ASSERT_TRUE((*core)->exchange_time_mark().ok());
  const auto second = (*core)->store().meta().get("time_high_water_us");
  ASSERT_TRUE(first.ok() && second.ok() && *first && *second);
  EXPECT_GT(**second, **first);
}

TEST_F(CoreTest, SecretsInTheStoreAreSealed) {
  const auto core = open();
  ASSERT_TRUE(core.ok());
  const auto made = (*core)->applications().create("second", (*core)->clock().now());
  ASSERT_TRUE(made.ok());
  const auto rows = (*core)->store().applications().list_secrets();
  ASSERT_TRUE(rows.ok());
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(rows->front().sealed.find(made->secret_base64), std::string::npos);
}

TEST_F(CoreTest, UnwritableDataDirectoryIsNamed) {
  write(path("data"), "a file");
  const auto core = open();
  ASSERT_FALSE(core.ok());
  EXPECT_EQ(core.code(), ErrorCode::kUnwritableFile);
  EXPECT_THAT(core.error().detail, HasSubstr(path("data")));
}

TEST(Sealer, OpensOnlyInItsOwnRowPurposeAndKey) {
  base::SeededRandom random(1);
  const MasterKey key{"k1",
                      base::SecretBytes(std::string_view("0123456789abcdef0123456789abcdef"))};
  const Sealer sealer(key, "things", random);
  const base::SecretBytes secret{std::string_view("a secret")};
  const auto sealed = sealer.seal(secret, "row 1");
  EXPECT_EQ(sealer.open(sealed, "row 1", "k1")->view(), "a secret");
  EXPECT_FALSE(sealer.open(sealed, "row 2", "k1").ok());
  EXPECT_FALSE(sealer.open(sealed, "row 1", "k2").ok());
  EXPECT_FALSE(Sealer(key, "others", random).open(sealed, "row 1", "k1").ok());
  EXPECT_FALSE(sealer.open(sealed.substr(0, 20), "row 1", "k1").ok());
}

}  // namespace
}  // namespace countersign::app
