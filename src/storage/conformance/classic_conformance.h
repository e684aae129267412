// The contract of ClassicStore as tests: every adapter that keeps what the classic door needs
// instantiates this suite.
//
//     INSTANTIATE_TEST_SUITE_P(Sqlite, ClassicConformance, testing::Values(&make_sqlite_harness));
//
// Thread-safety: as conformance.h.
#ifndef COUNTERSIGN_STORAGE_CONFORMANCE_CLASSIC_CONFORMANCE_H_
#define COUNTERSIGN_STORAGE_CONFORMANCE_CLASSIC_CONFORMANCE_H_

#include <string>
#include <vector>

#include "storage/conformance/message_conformance.h"

namespace countersign::storage {

/// Every test begins with ann and bob signed in, and with ann's log begun.
class ClassicConformance : public MessageConformance {
 protected:
  void SetUp() override {
    MessageConformance::SetUp();
    ASSERT_NE(store().classic(), nullptr);
    sign_in(store(), {"ann", "bob"});
    note("ann", {});
  }

  ClassicStore& classic() { return *store().classic(); }
  std::size_t note(const std::string& name, const std::vector<ClassicHorizon>& horizons,
                   std::int64_t now = 100) {
    return classic().note_horizons(user(name), horizons, at(now)).value();
  }
  static ClassicHorizon delivered(const std::string& name, std::int64_t seq,
                                  const std::string& conversation = "c-1") {
    return {conversation, person(name), seq};
  }
  ClassicLogPage log(const std::string& name, std::int64_t position, std::size_t limit = 100) {
    return classic().read_log(user(name), position, limit).value();
  }
  std::vector<std::int64_t> positions(const std::string& name, std::int64_t after = 0) {
    std::vector<std::int64_t> all;
    for (const ClassicReceipt& receipt : log(name, after).receipts) {
      all.push_back(receipt.position);
    }
    return all;
  }
  static ClassicPart part(std::uint32_t index, std::uint32_t count, const std::string& payload,
                          const std::string& session = "s", std::int64_t now = 100) {
    return {InstanceId("instance"), session, "7", index, count, payload, at(now)};
  }
  Result<std::optional<std::string>> add(const ClassicPart& part) {
    return classic().add_part(part, {});
  }
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CONFORMANCE_CLASSIC_CONFORMANCE_H_
