// Core: what the server and every command share: settings, clocks, the store and the keys.
// Thread-safety: open and destroy on one thread; the parts say for themselves.
#ifndef COUNTERSIGN_APP_CORE_H_
#define COUNTERSIGN_APP_CORE_H_

#include <memory>
#include <optional>
#include <string>

#include "countersign/result.h"

#include "accounts/directory.h"
#include "accounts/keys.h"
#include "app/applications.h"
#include "app/files.h"
#include "app/master_key.h"
#include "app/store_choice.h"
#include "app/store_clock.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "config/settings.h"
#include "storage/store.h"

namespace countersign::app {

/// The latest time that the store knows of, if it knows one. kStoreFailed.
Result<std::optional<base::SystemTime>> read_time_mark(storage::MetaStore& meta);

class Core {
 public:
  enum class Purpose {
    kServe,    ///< holds the data directory's lock; makes what is missing
    kCommand,  ///< works beside a running server; makes what is missing, holds no lock
  };

  /// Opens everything below the services. The error names the path or key at fault.
  static Result<std::unique_ptr<Core>> open(config::Settings settings, Purpose purpose);

  const config::Settings& settings() const { return settings_; }
  const base::MonotonicWallClock& clock() const { return clock_; }
  /// The clock that tells what is old enough to be removed. It may jump, which is to be noticed
  /// (base/jump_guard.h).
  StoreClock& store_clock() { return store_clock_; }
  const StoreClock& store_clock() const { return store_clock_; }
  base::Random& random() { return random_; }
  base::Metrics& metrics() { return metrics_; }
  storage::Store& store() { return *store_; }
  const MasterKey& master_key() const { return *master_key_; }
  Applications& applications() { return *applications_; }

  /// Looks at the store's clock if it has one of its own. Now and then. kStoreFailed.
  Result<void> check_store_clock();
  /// Raises the clock to the mark the store holds, and the mark to the clock. Now and then, so that
  /// no restart brings an old time back. A shared mark binds every node: one whose clock is off the
  /// store's leaves it alone.
  Result<void> exchange_time_mark();

 private:
  explicit Core(config::Settings settings) : settings_(std::move(settings)) {}

  config::Settings settings_;
  base::SystemClock machine_clock_;
  StoreClock store_clock_{machine_clock_};
  base::MonotonicWallClock clock_{machine_clock_};
  base::SystemRandom random_;
  base::Metrics metrics_;
  std::optional<DataDirectoryLock> lock_;
  std::unique_ptr<storage::Store> store_;
  std::optional<MasterKey> master_key_;
  std::unique_ptr<Applications> applications_;
  bool told_behind_ = false;
};

/// The account services that operators' commands need.
class AccountTools {
 public:
  /// kBadSetting if the hashing settings do not fit. `core` outlives the tools.
  static Result<std::unique_ptr<AccountTools>> create(Core& core);

  accounts::Directory& directory() { return *directory_; }

 private:
  explicit AccountTools(Core& core);

  accounts::AccountKeys keys_;
  std::optional<accounts::PasswordHasher> hasher_;
  accounts::PasswordPolicy policy_;
  accounts::Throttle throttle_;
  std::optional<accounts::Directory> directory_;
};

/// The options of rooms as the settings give them.
accounts::HashOptions hash_options(const config::Settings& settings);
accounts::PasswordPolicyOptions password_policy_options(const config::Settings& settings);
accounts::ThrottleOptions throttle_options(const config::Settings& settings);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_CORE_H_
