// The contract of Store as tests: every adapter instantiates this suite.
//
//     INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance, testing::Values(&make_sqlite_harness));
//
// Each test gets an empty store. Tests of concurrency use two stores opened on the same data, as
// two programs would.
// Thread-safety: a test's harness belongs to the test; its stores may be called from any thread.
#ifndef COUNTERSIGN_STORAGE_CONFORMANCE_CONFORMANCE_H_
#define COUNTERSIGN_STORAGE_CONFORMANCE_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "storage/store.h"

namespace countersign::storage {

/// What an adapter provides for its tests: an empty store of its own, removed at the end.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  virtual Store& store() = 0;
  /// Another one opened on the same data, as another program would.
  virtual Store& second_store() = 0;
  /// Closes all stores and opens the data again.
  virtual void reopen() = 0;
};

using StoreHarnessFactory = std::unique_ptr<StoreHarness> (*)();

/// Passes if the result is a value; else shows why not.
template <class T>
testing::AssertionResult succeeded(const Result<T>& result) {
  if (result.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "failed: " << result.error().detail;
}

/// Passes if the result is a failure with this code.
template <class T>
testing::AssertionResult failed_with(const Result<T>& result, ErrorCode code) {
  if (result.ok()) return testing::AssertionFailure() << "succeeded";
  if (result.code() == code) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "failed otherwise: " << result.error().detail;
}

/// An instant `seconds` after 2026-01-01T00:00:00Z.
SystemTime at(std::int64_t seconds);

/// Records with every member filled, distinct by `name`.
Account sample_account(const std::string& name);
SignInSession sample_session(const std::string& name, const AccountId& account,
                             SystemTime created = at(0));
Instance sample_instance(const std::string& name,
                         std::optional<SessionHandle> session = std::nullopt);
Revocation identity_revocation(const Identity& identity, SystemTime time);

/// Runs `work(index)` on `count` threads that start together, and waits for all.
void in_parallel(int count, const std::function<void(int)>& work);

class StoreConformance : public testing::TestWithParam<StoreHarnessFactory> {
 protected:
  void SetUp() override { harness_ = GetParam()(); }
  void TearDown() override { harness_.reset(); }

  Store& store() { return harness_->store(); }
  /// One of two stores on the same data, for thread `index`.
  Store& store_of(int index) {
    return index % 2 == 0 ? harness_->store() : harness_->second_store();
  }
  /// Opens the second store now: tests that start threads do it first.
  void open_both() { static_cast<void>(harness_->second_store()); }
  void reopen() { harness_->reopen(); }

  /// Creates the account with the hash "hash-of-NAME".
  AccountId create_account(const std::string& name);
  SessionHandle create_session(const std::string& name, const AccountId& account,
                               SystemTime created = at(0));
  bool session_exists(const SessionHandle& handle);
  bool instance_exists(const InstanceId& id);
  /// The whole revocation log.
  std::vector<Revocation> revocations();

 private:
  std::unique_ptr<StoreHarness> harness_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CONFORMANCE_CONFORMANCE_H_
