// PostgreSQL passes the contracts of Store, MessageStore, CallbackStore and ClassicStore.
#include "storage/conformance/conformance.h"

#include "storage/conformance/callbacks_conformance.h"
#include "storage/conformance/classic_conformance.h"
#include "storage/conformance/message_conformance.h"
#include "storage/postgres/message_checks_for_test.h"
#include "storage/postgres/testing/postgres_server.h"

namespace countersign::storage {
namespace {

class PostgresHarness final : public StoreHarness {
 public:
  PostgresHarness() { reopen(); }
  /// Whatever a test does, the tables add up afterwards.
  ~PostgresHarness() override {
    first_.reset();
    second_.reset();
    EXPECT_EQ(postgres::faults_of_tables(database_.url()), "");
  }

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
  std::unique_ptr<Store> open() { return open_postgres_store(database_.options()).value(); }

  postgres::TestDatabase database_;
  std::unique_ptr<Store> first_;
  std::unique_ptr<Store> second_;
};

std::unique_ptr<StoreHarness> make_postgres_harness() {
  return std::make_unique<PostgresHarness>();
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreConformance, testing::Values(&make_postgres_harness));
INSTANTIATE_TEST_SUITE_P(Postgres, MessageConformance, testing::Values(&make_postgres_harness));
INSTANTIATE_TEST_SUITE_P(Postgres, CallbackConformance, testing::Values(&make_postgres_harness));
INSTANTIATE_TEST_SUITE_P(Postgres, ClassicConformance, testing::Values(&make_postgres_harness));

}  // namespace
}  // namespace countersign::storage
