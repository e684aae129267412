// SQLite passes the contracts of Store and MessageStore.
#include "storage/conformance/conformance.h"

#include "storage/conformance/callbacks_conformance.h"
#include "storage/conformance/classic_conformance.h"
#include "storage/conformance/message_conformance.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

class SqliteHarness final : public StoreHarness {
 public:
  SqliteHarness() { reopen(); }

  Store& store() override { return *first_; }
  Store& second_store() override {
    if (!second_) second_ = open();
    return *second_;
  }
  void reopen() override {
    first_.reset();
    second_.reset();
    first_ = open();
  }

 private:
  std::unique_ptr<Store> open() { return open_sqlite_store(directory_.options()).value(); }

  TestDirectory directory_;
  std::unique_ptr<Store> first_;
  std::unique_ptr<Store> second_;
};

std::unique_ptr<StoreHarness> make_sqlite_harness() { return std::make_unique<SqliteHarness>(); }

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance, testing::Values(&make_sqlite_harness));
INSTANTIATE_TEST_SUITE_P(Sqlite, MessageConformance, testing::Values(&make_sqlite_harness));
INSTANTIATE_TEST_SUITE_P(Sqlite, CallbackConformance, testing::Values(&make_sqlite_harness));
INSTANTIATE_TEST_SUITE_P(Sqlite, ClassicConformance, testing::Values(&make_sqlite_harness));

}  // namespace
}  // namespace countersign::storage
