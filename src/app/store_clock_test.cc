// How a node compares its clock with the store's.
#include "app/store_clock.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "base/fake_clock.h"

namespace countersign::app {
namespace {

using std::chrono::milliseconds;

/// A store that knows nothing but the time.
class ClockStore final : public storage::Store {
 public:
  storage::AccountStore& accounts() override { return nothing<storage::AccountStore>(); }
  storage::SessionStore& sessions() override { return nothing<storage::SessionStore>(); }
  storage::ThrottleStore& throttles() override { return nothing<storage::ThrottleStore>(); }
  storage::KnownDeviceStore& known_devices() override {
    return nothing<storage::KnownDeviceStore>();
  }
  storage::InstanceStore& instances() override { return nothing<storage::InstanceStore>(); }
  storage::RevocationStore& revocations() override { return nothing<storage::RevocationStore>(); }
  storage::MetaStore& meta() override { return nothing<storage::MetaStore>(); }
  storage::ApplicationStore& applications() override {
    return nothing<storage::ApplicationStore>();
  }
  storage::MessageStore& messages() override { return nothing<storage::MessageStore>(); }
  Result<void> ping() override { return {}; }
  Result<base::SystemTime> now() override {
    asked();
    return time;
  }

  Result<base::SystemTime> time = base::SystemTime();
  std::function<void()> asked = [] {};

 private:
  template <class Part>
  static Part& nothing() {
    throw std::logic_error("only the time is known");
  }
};

TEST(StoreClock, ToleratesOneSecondEitherWay) {
  ClockStore store;
  base::FakeClock clock;
  StoreClock watch(clock);
  EXPECT_TRUE(watch.agrees()) << "before the first look";
  for (const auto& [behind, agrees] :
       {std::pair(0, true), std::pair(1000, true), std::pair(1001, false), std::pair(-1000, true),
        std::pair(-1001, false), std::pair(7'200'000, false)}) {
    store.time = clock.now() - milliseconds(behind);
    ASSERT_TRUE(watch.check(store).ok());
    EXPECT_EQ(watch.offset(), milliseconds(behind));
    EXPECT_EQ(watch.agrees(), agrees) << behind;
    EXPECT_EQ(watch.now(), *store.time) << "removing goes by the store's time";
  }
}

TEST(StoreClock, TheTimeThatAskingTakesIsNobodysFault) {
  ClockStore store;
  base::FakeClock clock;
  store.time = clock.now() + std::chrono::seconds(2);
  store.asked = [&] { clock.advance(std::chrono::seconds(4)); };
  StoreClock watch(clock);
  ASSERT_TRUE(watch.check(store).ok());
  EXPECT_EQ(watch.offset(), milliseconds(0));
}

TEST(StoreClock, AStoreThatDoesNotAnswerChangesNothing) {
  ClockStore store;
  base::FakeClock clock;
  StoreClock watch(clock);
  store.time = clock.now() + std::chrono::hours(1);
  ASSERT_TRUE(watch.check(store).ok());
  store.time = fail(ErrorCode::kStoreFailed);
  EXPECT_FALSE(watch.check(store).ok());
  EXPECT_FALSE(watch.agrees());
}

}  // namespace
}  // namespace countersign::app
