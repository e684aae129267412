#include "bus/handler_slot.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/gap_listener.h"

namespace countersign::bus {
namespace {

using ::testing::ElementsAre;

Payload text(const std::string& value) { return std::make_shared<const std::string>(value); }

TEST(HandlerSlot, LeavesWhatComesWhileItRunsToTheRunningThread) {
  std::promise<void> entered;
  std::promise<void> go_on;
  std::vector<std::string> seen;
  HandlerSlot slot([&](const Payload& payload) {
    if (seen.empty()) {
      entered.set_value();
      go_on.get_future().wait();
    }
    seen.push_back(*payload);
  });
  auto first = std::async(std::launch::async, [&] { return slot.deliver(text("1")); });
  entered.get_future().wait();
  EXPECT_TRUE(slot.deliver(text("2")));  // returns at once
  EXPECT_TRUE(slot.deliver(text("3")));
  go_on.set_value();
  EXPECT_TRUE(first.get());
  EXPECT_THAT(seen, ElementsAre("1", "2", "3"));
}

TEST(HandlerSlot, LetsAHandlerDeliverToItself) {
  std::vector<std::string> seen;
  HandlerSlot* self = nullptr;
  HandlerSlot slot([&](const Payload& payload) {
    seen.push_back(*payload);
    if (seen.size() < 4) self->deliver(text(*payload + "+"));
  });
  self = &slot;
  slot.deliver(text("a"));
  EXPECT_THAT(seen, ElementsAre("a", "a+", "a++", "a+++"));
}

TEST(HandlerSlot, DropsWhatIsOverItsBounds) {
  std::size_t calls = 0;
  std::size_t dropped = 0;
  HandlerSlot* self = nullptr;
  HandlerSlot slot([&](const Payload& payload) {
    if (++calls > 1) return;
    for (std::size_t n = 0; n < HandlerSlot::kMaxWaiting + 10; ++n)
      dropped += !self->deliver(payload);
  });
  self = &slot;
  slot.deliver(text("x"));
  EXPECT_EQ(dropped, 10u);
  EXPECT_EQ(calls, 1 + HandlerSlot::kMaxWaiting);

  calls = dropped = 0;
  HandlerSlot wide([&](const Payload& payload) {
    if (++calls > 1) return;
    for (int n = 0; n < 10; ++n) dropped += !self->deliver(payload);
  });
  self = &wide;
  wide.deliver(text(std::string(1 << 20, 'x')));
  EXPECT_EQ(dropped, 2u);
}

TEST(HandlerSlot, MayBeClosedByItsOwnHandler) {
  int calls = 0;
  HandlerSlot* self = nullptr;
  HandlerSlot slot([&](const Payload& payload) {
    ++calls;
    self->deliver(payload);
    self->close();
  });
  self = &slot;
  slot.deliver(text("x"));
  slot.deliver(text("x"));
  EXPECT_EQ(calls, 1);
}

TEST(GapListener, CallsTheLatestListenerAlone) {
  GapListener listener;
  listener.call();
  int first = 0;
  int second = 0;
  listener.set([&] { ++first; });
  listener.call();
  listener.set([&] { ++second; });
  listener.call();
  listener.set(nullptr);
  listener.call();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
}

}  // namespace
}  // namespace countersign::bus
