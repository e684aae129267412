// The contract of CallbackStore as tests: every adapter that keeps callbacks instantiates this
// suite.
//
//     INSTANTIATE_TEST_SUITE_P(Sqlite, CallbackConformance, testing::Values(&make_sqlite_harness));
//
// Thread-safety: as conformance.h.
#ifndef COUNTERSIGN_STORAGE_CONFORMANCE_CALLBACKS_CONFORMANCE_H_
#define COUNTERSIGN_STORAGE_CONFORMANCE_CALLBACKS_CONFORMANCE_H_

#include <string>
#include <vector>

#include "storage/conformance/message_conformance.h"

namespace countersign::storage {

/// Every test begins with ann and bob signed in, and with no callbacks kept.
class CallbackConformance : public MessageConformance {
 protected:
  void SetUp() override {
    MessageConformance::SetUp();
    ASSERT_NE(store().callbacks(), nullptr);
    sign_in(store(), {"ann", "bob"});
  }

  CallbackStore& callbacks() { return *store().callbacks(); }
  void keep(std::size_t max_rows = 1'000) { ASSERT_TRUE(succeeded(callbacks().keep(max_rows))); }
  /// Leases what is due at at(now) for 60 s.
  std::vector<Callback> lease(std::int64_t now) {
    return callbacks().lease(at(now), at(now + 60), 1'000).value();
  }
  /// Everything that waits, in order, each taken as soon as it is due.
  std::vector<Callback> take_all() {
    std::vector<Callback> all;
    for (;;) {
      const std::vector<Callback> due = lease(1'000);
      if (due.empty()) return all;
      for (const Callback& callback : due) {
        all.push_back(callback);
        EXPECT_TRUE(succeeded(callbacks().complete(callback.id)));
      }
    }
  }
  CallbackCounts counts() { return callbacks().count().value(); }
  void start_instance(const std::string& name) {
    ASSERT_TRUE(succeeded(store().instances().create_instance(sample_instance(name), 100)));
  }
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CONFORMANCE_CALLBACKS_CONFORMANCE_H_
