// AccountWorld: everything the flows of src/accounts work with, for tests: a SQLite store in a
// folder of its own, a clock that is moved by hand, repeatable randomness, the cheapest allowed
// hashing. Thread-safety: as its parts.
#ifndef COUNTERSIGN_ACCOUNTS_TESTING_ACCOUNT_WORLD_H_
#define COUNTERSIGN_ACCOUNTS_TESTING_ACCOUNT_WORLD_H_

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "accounts/answer_floor.h"
#include "accounts/directory.h"
#include "accounts/keys.h"
#include "accounts/known_devices.h"
#include "accounts/password_change.h"
#include "accounts/password_hasher.h"
#include "accounts/password_policy.h"
#include "accounts/password_pool.h"
#include "accounts/sign_in.h"
#include "accounts/sign_up.h"
#include "accounts/throttle.h"
#include "base/fake_clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/secret_bytes.h"
#include "storage/sqlite/sqlite_store.h"

namespace countersign::accounts {

/// A folder that goes with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "countersign-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A new store in `folder`.
inline std::unique_ptr<storage::Store> open_test_store(const TemporaryFolder& folder) {
  base::set_log_level(base::LogLevel::kError);
  storage::SqliteOptions options;
  options.path = (folder.path() / "test.db").string();
  options.reserve_bytes = 0;
  auto store = storage::open_sqlite_store(options);
  if (!store) throw std::runtime_error(store.error().detail);
  return *std::move(store);
}

class AccountWorld : public ::testing::Test {
 protected:
  static constexpr std::string_view kPassword = "a long and quiet afternoon";
  static inline const ClientPrefix kHome{"192.0.2.7/32", "192.0.2.0/24"};
  static inline const ClientPrefix kElsewhere{"198.51.100.9/32", "198.51.100.0/24"};

  AccountWorld() : store(open_test_store(folder)) {}

  static AccountKeys test_keys() {
    static constexpr std::array<std::uint8_t, 32> kMaster{1, 2, 3};
    return AccountKeys::derive("k1", kMaster);
  }
  static base::SecretBytes secret(std::string_view text) { return base::SecretBytes(text); }

  storage::Account add(std::string_view name, std::string_view email = "") {
    auto account = directory.add(name, email, false, secret(kPassword));
    EXPECT_TRUE(account.ok()) << account.error().detail;
    return *account;
  }

  SignInRequest request(std::string_view name, std::string_view password,
                        const ClientPrefix& prefix = kHome, std::string device_cookie = "") {
    SignInRequest made;
    made.name = std::string(name);
    made.password = secret(password);
    made.prefix = prefix;
    made.device_cookie = std::move(device_cookie);
    return made;
  }

  /// All four steps in this thread.
  Result<Authenticated> try_sign_in(SignInRequest made) {
    Result<SignInAttempt> attempt = sign_in.admit(std::move(made));
    if (!attempt) return attempt.failure();
    if (Result<void> prepared = sign_in.prepare(*attempt); !prepared) return prepared.failure();
    if (attempt->wants_hash()) sign_in.hash(*attempt);
    return sign_in.finish(*std::move(attempt));
  }

  Result<Authenticated> try_sign_up(SignUp& door, std::string_view name, std::string_view email,
                                    std::string_view password = kPassword) {
    SignUpRequest made;
    made.user_name = std::string(name);
    made.email = std::string(email);
    made.password = secret(password);
    made.prefix = kHome;
    Result<SignUpDraft> draft = door.admit(std::move(made));
    if (!draft) return draft.failure();
    if (Result<void> prepared = door.prepare(*draft); !prepared) return prepared.failure();
    door.hash(*draft);
    return door.finish(*std::move(draft));
  }

  TemporaryFolder folder;
  base::FakeClock clock;
  base::SeededRandom random{42};
  base::Metrics metrics;
  std::unique_ptr<storage::Store> store;
  PasswordHasher hasher =
      *PasswordHasher::create({12 * 1024, 3}, test_keys().password_keys, random);
  PasswordPool pool{{2, 4}};
  Throttle throttle{store->throttles(), clock, test_keys().throttle_key, {}};
  KnownDevices devices{store->known_devices(), clock, random, test_keys().device_key, {}};
  PasswordPolicy policy{{}};
  AnswerFloor floor{{}, random};
  Parts parts{*store, clock, random, metrics, hasher, pool, throttle, devices};
  SignIn sign_in{parts, floor};
  SignUp sign_up{parts, policy, floor, {}};
  PasswordChange password_change{parts, policy, floor};
  Directory directory{*store, clock, random, hasher, policy, throttle};
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_TESTING_ACCOUNT_WORLD_H_
