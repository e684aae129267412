// Publish and subscribe.
#include <atomic>
#include <future>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include <gmock/gmock.h>

#include "bus/conformance/conformance.h"

namespace countersign::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_P(BusConformance, PublicationReachesEverySubscriberOfEveryNode) {
  Heard own;
  Heard own_too;
  Heard other;
  const auto a = subscribed(bus(), "news", own.handler());
  const auto b = subscribed(bus(), "news", own_too.handler());
  const auto c = subscribed(second_bus(), "news", other.handler());
  ASSERT_TRUE(succeeded(bus().publish("news", "hello")));
  for (Heard* heard : {&own, &own_too, &other}) {
    EXPECT_TRUE(heard->wait_for(1));
    EXPECT_THAT(heard->all(), ElementsAre("hello"));
  }
}

TEST_P(BusConformance, PublicationReachesNobodyElse) {
  Heard heard;
  Heard elsewhere;
  const auto a = subscribed(bus(), "a.b", heard.handler());
  const auto b = subscribed(bus(), "a.c", elsewhere.handler());
  for (const char* subject : {"a", "a.b.c", "b", "ab"}) {
    ASSERT_TRUE(succeeded(bus().publish(subject, "not for them")));
  }
  ASSERT_TRUE(succeeded(bus().publish("a.b", "last")));
  ASSERT_TRUE(succeeded(bus().publish("a.c", "last")));
  EXPECT_TRUE(heard.wait_for("last"));
  EXPECT_TRUE(elsewhere.wait_for("last"));
  EXPECT_THAT(heard.all(), ElementsAre("last"));
  EXPECT_THAT(elsewhere.all(), ElementsAre("last"));
}

TEST_P(BusConformance, PublishingToNobodySucceeds) {
  EXPECT_TRUE(succeeded(bus().publish("nobody", "hello")));
}

TEST_P(BusConformance, EmptyAndBinaryPayloadsArriveAsTheyAre) {
  std::string bytes;
  for (int n = 0; n < 256; ++n) bytes += static_cast<char>(n);
  bytes += "\r\nPUB x 1\r\n";
  Heard heard;
  const auto a = subscribed(second_bus(), "news", heard.handler());
  ASSERT_TRUE(succeeded(bus().publish("news", "")));
  ASSERT_TRUE(succeeded(bus().publish("news", bytes)));
  EXPECT_TRUE(heard.wait_for(2));
  EXPECT_THAT(heard.all(), ElementsAre("", bytes));
}

TEST_P(BusConformance, LongestPayloadArrivesAndALongerOneIsRefused) {
  Heard heard;
  const auto a = subscribed(second_bus(), "news", heard.handler());
  const std::string longest(kMaxPayloadBytes, 'x');
  EXPECT_TRUE(failed_with(bus().publish("news", longest + "x"), ErrorCode::kBadRequest));
  EXPECT_TRUE(
      failed_with(bus().publish("news", std::string(1 << 20, 'x')), ErrorCode::kBadRequest));
  ASSERT_TRUE(succeeded(bus().publish("news", longest)));
  EXPECT_TRUE(heard.wait_for(1));
  EXPECT_THAT(heard.all(), ElementsAre(longest));
}

TEST_P(BusConformance, WildcardsAndOtherTextAreNoSubjects) {
  Heard heard;
  const auto all = subscribed(bus(), "news", heard.handler());
  for (const std::string subject :
       {">", "*", "news.>", "*.news", "", ".", "news.", "NEWS", "a b",
        "news\r\nPUB news 1\r\nx\r\n", "$SYS.REQ.SERVER.PING", "$JS.API.STREAM.NAMES"}) {
    EXPECT_TRUE(failed_with(bus().publish(subject, "x"), ErrorCode::kBadRequest)) << subject;
    EXPECT_TRUE(failed_with(bus().subscribe(subject, heard.handler()), ErrorCode::kBadRequest))
        << subject;
  }
  ASSERT_TRUE(succeeded(bus().publish("news", "last")));
  EXPECT_TRUE(heard.wait_for("last"));
  EXPECT_THAT(heard.all(), ElementsAre("last"));
}

TEST_P(BusConformance, AUserNamedLikeAWildcardHearsOnlyTheirOwn) {
  const Naming token = [](const std::string& application, const std::string& name) {
    return "inbox." + subject_token({application, "username", name});
  };
  EXPECT_EQ(faults_of_naming(bus(), second_bus(), token), "");
}

TEST_P(BusConformance, SubjectsMadeOfTheTextOfAnIdentityAreNoticed) {
  const Naming joined = [](const std::string& application, const std::string& name) {
    return "inbox." + application + ".username." + name;
  };
  const std::string faults = faults_of_naming(bus(), second_bus(), joined);
  EXPECT_THAT(faults, HasSubstr("> cannot be reached\n"));
  EXPECT_THAT(faults, HasSubstr("* cannot be reached\n"));
  EXPECT_THAT(faults, HasSubstr("bob hears what is for alice.username.bob\n"));
}

TEST_P(BusConformance, OrderOfEachPublisherIsKept) {
  constexpr int kPublishers = 4;
  constexpr int kEach = 1000;
  Heard heard;
  const auto a = subscribed(second_bus(), "news", heard.handler());
  in_parallel(kPublishers, [&](int index) {
    for (int n = 0; n < kEach; ++n) {
      ASSERT_TRUE(succeeded((index % 2 == 0 ? bus() : second_bus())
                                .publish("news", std::to_string(index) + " " + std::to_string(n))));
    }
  });
  ASSERT_TRUE(heard.wait_for(kPublishers * kEach));
  std::map<std::string, int> next;
  for (const auto& text : heard.all()) {
    const auto blank = text.find(' ');
    EXPECT_EQ(std::stoi(text.substr(blank)), next[text.substr(0, blank)]++);
  }
}

TEST_P(BusConformance, HandlerOfOneSubscriptionRunsOneAtATime) {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  Heard heard;
  const auto a = subscribed(bus(), "news", [&](const Payload& payload) {
    most = std::max<int>(most, ++inside);
    std::this_thread::yield();
    --inside;
    heard.add(*payload);
  });
  in_parallel(4, [&](int) {
    for (int n = 0; n < 200; ++n) ASSERT_TRUE(succeeded(bus().publish("news", "x")));
  });
  ASSERT_TRUE(heard.wait_for(800));
  EXPECT_EQ(most, 1);
}

TEST_P(BusConformance, NothingIsHandedOverAfterTheEndOfASubscription) {
  Heard ended;
  Heard stays;
  auto a = subscribed(bus(), "news", ended.handler());
  const auto b = subscribed(bus(), "news", stays.handler());
  ASSERT_TRUE(succeeded(bus().publish("news", "1")));
  ASSERT_TRUE(ended.wait_for(1));
  a.reset();
  ASSERT_TRUE(succeeded(bus().publish("news", "2")));
  ASSERT_TRUE(stays.wait_for("2"));
  ASSERT_TRUE(flushed(bus()));
  EXPECT_THAT(ended.all(), ElementsAre("1"));
}

TEST_P(BusConformance, EndingASubscriptionWaitsForItsHandler) {
  std::promise<void> entered;
  std::promise<void> go_on;
  std::atomic<bool> left{false};
  auto a = subscribed(bus(), "news", [&](const Payload&) {
    entered.set_value();
    go_on.get_future().wait();
    left = true;
  });
  auto publisher = std::async(std::launch::async, [&] { return bus().publish("news", "x"); });
  entered.get_future().wait();
  auto end = std::async(std::launch::async, [&] {
    a.reset();
    return left.load();
  });
  EXPECT_FALSE(left);
  go_on.set_value();
  EXPECT_TRUE(end.get()) << "the subscription ended while its handler ran";
  EXPECT_TRUE(succeeded(publisher.get()));
}

TEST_P(BusConformance, SubscriptionsComeAndGoWhileOthersPublish) {
  std::atomic<bool> stop{false};
  std::thread publisher([&] {
    while (!stop) static_cast<void>(bus().publish("news", "x"));
  });
  for (int n = 0; n < 200; ++n) {
    // Dies at once; a call after its end would write to freed memory.
    const auto calls = std::make_unique<std::atomic<int>>(0);
    const auto a = bus().subscribe("news", [&](const Payload&) { ++*calls; });
    ASSERT_TRUE(succeeded(a));
  }
  stop = true;
  publisher.join();
}

TEST_P(BusConformance, AHandlerMayPublishSubscribeAndEndItself) {
  Heard heard;
  std::unique_ptr<Subscription> inner;
  std::unique_ptr<Subscription> self;
  std::promise<void> ended;
  self = subscribed(bus(), "ask", [&](const Payload& payload) {
    auto made = bus().subscribe("later", heard.handler());
    ASSERT_TRUE(succeeded(made));
    inner = std::move(*made);
    ASSERT_TRUE(succeeded(bus().publish("answer", *payload + "!")));
    self.reset();
    ended.set_value();
  });
  const auto answers = subscribed(bus(), "answer", heard.handler());
  ASSERT_TRUE(succeeded(bus().publish("ask", "why")));
  ended.get_future().wait();
  ASSERT_TRUE(heard.wait_for("why!"));
  ASSERT_TRUE(flushed(bus()));
  ASSERT_TRUE(succeeded(bus().publish("ask", "again")));
  ASSERT_TRUE(succeeded(bus().publish("later", "last")));
  EXPECT_TRUE(heard.wait_for("last"));
  EXPECT_THAT(heard.all(), ElementsAre("why!", "last"));
}

TEST_P(BusConformance, AHandlerMayPublishToItself) {
  Heard heard;
  const auto a = subscribed(bus(), "news", [&](const Payload& payload) {
    heard.add(*payload);
    if (payload->size() < 5) {
      EXPECT_TRUE(succeeded(bus().publish("news", *payload + "x")));
    }
  });
  ASSERT_TRUE(succeeded(bus().publish("news", "x")));
  EXPECT_TRUE(heard.wait_for("xxxxx"));
  EXPECT_EQ(heard.all().size(), 5u);
}

TEST_P(BusConformance, ThousandsOfSubjectsAreKeptApart) {
  constexpr int kSubjects = 3000;
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  std::vector<Heard> heard(kSubjects);
  const auto subject = [](int n) { return "inbox." + subject_token({std::to_string(n)}); };
  for (int n = 0; n < kSubjects; ++n) {
    auto made = second_bus().subscribe(subject(n), heard[static_cast<std::size_t>(n)].handler());
    ASSERT_TRUE(succeeded(made));
    subscriptions.push_back(std::move(*made));
  }
  ASSERT_TRUE(flushed(second_bus()));
  for (int n = 0; n < kSubjects; ++n) {
    ASSERT_TRUE(succeeded(bus().publish(subject(n), std::to_string(n))));
  }
  for (int n = 0; n < kSubjects; ++n) {
    auto& mine = heard[static_cast<std::size_t>(n)];
    ASSERT_TRUE(mine.wait_for(1));
    EXPECT_THAT(mine.all(), ElementsAre(std::to_string(n)));
  }
}

TEST_P(BusConformance, PublicationAfterFlushIsNeverMissed) {
  for (int n = 0; n < 50; ++n) {
    Heard heard;
    const auto a = subscribed(bus(), "news" + std::to_string(n), heard.handler());
    ASSERT_TRUE(succeeded(second_bus().publish("news" + std::to_string(n), "x")));
    ASSERT_TRUE(heard.wait_for(1));
  }
}

TEST_P(BusConformance, ManyFlushesAtOnceAreAllAnswered) {
  in_parallel(8, [&](int index) {
    for (int n = 0; n < 50; ++n) {
      Heard heard;
      const auto a = subscribed(index % 2 == 0 ? bus() : second_bus(), "news", heard.handler());
    }
  });
}

TEST_P(BusConformance, IsConnectedAndReportsNoGapWhileAllIsWell) {
  std::atomic<int> gaps{0};
  bus().on_gap([&] { ++gaps; });
  Heard heard;
  const auto a = subscribed(bus(), "news", heard.handler());
  for (int n = 0; n < 1000; ++n) ASSERT_TRUE(succeeded(bus().publish("news", "x")));
  ASSERT_TRUE(heard.wait_for(1000));
  EXPECT_TRUE(bus().connected());
  EXPECT_TRUE(second_bus().connected());
  bus().on_gap(nullptr);
  EXPECT_EQ(gaps, 0);
}

}  // namespace
}  // namespace countersign::bus
