// What only a bus over a network goes through: servers that are away, wrong or too slow.
#include "bus/nats/nats_bus.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <future>

#include <gmock/gmock.h>

#include "bus/nats/nats_test_support.h"

namespace countersign::bus {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Publishes until it succeeds: the bus says by itself when it is back.
bool published(Bus& bus, const std::string& subject, const std::string& payload) {
  return becomes_true([&] { return bus.publish(subject, payload).ok(); });
}

TEST(NatsBus, ServerThatComesBackIsAGapAndSubscriptionsAreGoodAgain) {
  NatsServer server;
  TestNode node;
  TestNode other_node;
  const auto bus = node.open(server.url());
  const auto other = other_node.open(server.url());
  Gaps gaps(*bus);
  Heard heard;
  const auto a = subscribed(*bus, "news", heard.handler());

  server.kill();
  ASSERT_TRUE(becomes_true([&] { return !bus->connected() && !other->connected(); }));
  const auto asked = steady_clock::now();
  EXPECT_TRUE(failed_with(bus->publish("news", "lost"), ErrorCode::kBusFailed));
  EXPECT_FALSE(flushed(*bus));
  const auto while_away = bus->subscribe("news", heard.handler());
  EXPECT_TRUE(succeeded(while_away));
  EXPECT_LT(steady_clock::now() - asked, seconds(1)) << "a call waited for the server";
  EXPECT_EQ(gaps.count(), 0);

  server.start();
  EXPECT_TRUE(gaps.wait_for_more_than(0));
  EXPECT_TRUE(bus->connected());
  // The gap is told once the subscriptions are in force: nothing published from now on is missed.
  ASSERT_TRUE(published(*other, "news", "back"));
  EXPECT_TRUE(heard.wait_for(2));
  EXPECT_THAT(heard.all(), ElementsAre("back", "back"));
  EXPECT_THAT(node.metrics.expose(),
              HasSubstr("countersign_bus_gaps_total{reason=\"returned\"} 1"));
}

TEST(NatsBus, NodeThatCouldNotPublishTellsTheOthersThatTheyMissedSomething) {
  NatsServer server;
  TestNode node;
  TestNode other_node;
  const auto other = other_node.open(server.url());
  const auto bus = node.open(server.url());
  const auto shows = [&](const std::string& row) {
    return other_node.metrics.expose().find(row) != std::string::npos;
  };
  ASSERT_TRUE(becomes_true([&] { return shows("countersign_bus_nodes 2"); }));
  ASSERT_TRUE(shows("gaps_total{reason=\"missed\"} 0"));
  server.kill();
  ASSERT_TRUE(becomes_true([&] { return !bus->connected(); }));
  EXPECT_FALSE(bus->publish("news", "x").ok());
  server.start();
  // Told at least once: a pulse that the kill swallowed makes one more gap.
  EXPECT_TRUE(becomes_true([&] { return !shows("gaps_total{reason=\"missed\"} 0"); }));
}

TEST(NatsBus, StoppedServerBlocksNobodyAndIsGivenUp) {
  NatsServer server;
  TestNode node;
  NatsOptions options;
  options.url = server.url();
  options.installation = "test";
  options.max_pending_bytes = 4 << 20;
  const auto bus = node.open(options);
  Gaps gaps(*bus);
  Heard heard;
  const auto a = subscribed(*bus, "news", heard.handler());
  server.pause();
  const std::string payload(100'000, 'x');
  steady_clock::duration longest{};
  bool refused = false;
  ASSERT_TRUE(becomes_true([&] {
    const auto begun = steady_clock::now();
    const auto done = bus->publish("flood", payload);
    longest = std::max(longest, steady_clock::now() - begun);
    refused = refused || (!done.ok() && done.code() == ErrorCode::kOverloaded);
    return !bus->connected();
  })) << "the server is not given up";
  EXPECT_TRUE(refused) << "the queue has no bound";
  EXPECT_LT(longest, seconds(1)) << "publish() waited for the server";
  server.resume();
  EXPECT_TRUE(gaps.wait_for_more_than(0));
  ASSERT_TRUE(published(*bus, "news", "back"));
  EXPECT_TRUE(heard.wait_for("back"));
  EXPECT_THAT(heard.all(), ElementsAre("back"));
}

TEST(NatsBus, StoppedServerIsNoticedWithoutTraffic) {
  NatsServer server;
  TestNode node;
  const auto bus = node.open(server.url());
  Gaps gaps(*bus);
  server.pause();
  EXPECT_TRUE(becomes_true([&] { return !bus->connected(); }));
  server.resume();
  EXPECT_TRUE(gaps.wait_for_more_than(0));
}

TEST(NatsBus, FlushEndsInTimeWhenTheServerIsSilent) {
  NatsServer server;
  TestNode node;
  const auto bus = node.open(server.url());
  server.pause();
  const auto asked = steady_clock::now();
  EXPECT_FALSE(flushed(*bus));
  EXPECT_LT(steady_clock::now() - asked, seconds(7));
}

TEST(NatsBus, HandlerThatIsTooSlowIsAGap) {
  NatsServer server;
  TestNode node;
  TestNode publisher_node;
  NatsOptions options;
  options.url = server.url();
  options.installation = "test";
  options.max_unhandled = 10;
  const auto bus = node.open(options);
  const auto publisher = publisher_node.open(server.url());
  Gaps gaps(*bus);
  std::promise<void> go_on;
  std::shared_future<void> may_go_on = go_on.get_future().share();
  Heard heard;
  const auto a = subscribed(*bus, "news", [&](const Payload& payload) {
    may_go_on.wait();
    heard.add(*payload);
  });
  for (int n = 0; n < 100; ++n) ASSERT_TRUE(succeeded(publisher->publish("news", "x")));
  EXPECT_TRUE(gaps.wait_for_more_than(0));
  go_on.set_value();
  ASSERT_TRUE(succeeded(publisher->publish("news", "last")));
  EXPECT_TRUE(becomes_true([&] {
    return publisher->publish("news", "last").ok() && !heard.all().empty() &&
           heard.all().back() == "last";
  }));
  EXPECT_THAT(node.metrics.expose(), HasSubstr("countersign_bus_gaps_total{reason=\"slow\"}"));
}

TEST(NatsBus, ClusterThatLosesANodeGoesOn) {
  NatsCluster cluster;
  TestNode node;
  TestNode other_node;
  const auto bus = node.open(cluster.server(0).url());  // the others it hears of from the server
  const auto other = other_node.open(cluster.url(1));
  Gaps gaps(*bus);
  Heard heard;
  const auto a = subscribed(*bus, "news", heard.handler());
  const auto reaches = [&](const std::string& text) {
    return becomes_true([&] {
      return other->publish("news", text).ok() && !heard.all().empty() &&
             heard.all().back() == text;
    });
  };
  EXPECT_TRUE(reaches("across servers"));
  std::unique_ptr<Leases> leases;
  ASSERT_TRUE(becomes_true([&] {  // the cluster elects its leader in its own time
    auto opened = bus->leases("nodes", hours(1));
    if (opened.ok()) leases = std::move(*opened);
    return opened.ok();
  }));
  const auto revision = leases->acquire("node1", "a");
  ASSERT_TRUE(succeeded(revision));

  cluster.server(0).kill();
  EXPECT_TRUE(gaps.wait_for_more_than(0));
  EXPECT_TRUE(reaches("after the loss"));
  // Two of three hold the lease: it is there, once they have agreed on a leader.
  EXPECT_TRUE(becomes_true([&] {
    const auto held = leases->list();
    return held.ok() && held->contains("node1");
  }));
  EXPECT_TRUE(becomes_true([&] { return leases->renew("node1", "b", *revision).ok(); }));
}

TEST(NatsBus, LeasesAreMadeAgainWhenAllServersLostThem) {
  NatsServer server;
  TestNode node;
  const auto bus = node.open(server.url());
  auto leases = bus->leases("nodes", hours(1));
  ASSERT_TRUE(succeeded(leases));
  const auto revision = (*leases)->acquire("node1", "a");
  ASSERT_TRUE(succeeded(revision));
  server.kill();
  ASSERT_TRUE(becomes_true([&] { return !bus->connected(); }));
  EXPECT_TRUE(failed_with((*leases)->acquire("node1", "a"), ErrorCode::kBusFailed));
  EXPECT_TRUE(failed_with((*leases)->list(), ErrorCode::kBusFailed));
  EXPECT_TRUE(failed_with(bus->leases("other", hours(1)), ErrorCode::kBusFailed));
  server.start();
  ASSERT_TRUE(becomes_true([&] { return (*leases)->list().ok(); }));
  EXPECT_TRUE(failed_with((*leases)->renew("node1", "a", *revision), ErrorCode::kAbsent));
  EXPECT_TRUE(succeeded((*leases)->acquire("node1", "a")));
}

TEST(NatsBus, LeasesWithoutJetStreamFailAndSayWhy) {
  NatsServer server("", false);
  TestNode node;
  const auto bus = node.open(server.url());
  const auto leases = bus->leases("nodes", hours(1));
  ASSERT_TRUE(failed_with(leases, ErrorCode::kBusFailed));
  EXPECT_THAT(leases.error().detail, HasSubstr("JetStream"));
}

TEST(NatsBus, StartWaitsForAServerOnlyIfToldTo) {
  TestNode node;
  NatsOptions options;
  options.url = "nats://u:s3cret@127.0.0.1:" + std::to_string(free_port());
  const auto asked = steady_clock::now();
  const auto refused = open_nats_bus(options, node.random, node.metrics);
  ASSERT_TRUE(failed_with(refused, ErrorCode::kBusFailed));
  EXPECT_LT(steady_clock::now() - asked, seconds(7));
  EXPECT_THAT(refused.error().detail, Not(HasSubstr("s3cret")));

  NatsServer server;
  server.kill();
  options.url = server.url();
  options.wait = false;
  const auto bus = node.open(options);
  EXPECT_FALSE(bus->connected());
  EXPECT_TRUE(failed_with(bus->publish("news", "x"), ErrorCode::kBusFailed));
  Gaps gaps(*bus);
  Heard heard;
  const auto a = bus->subscribe("news", heard.handler());
  ASSERT_TRUE(succeeded(a));
  server.start();
  EXPECT_TRUE(gaps.wait_for_more_than(0)) << "the bus was away and is there";
  ASSERT_TRUE(published(*bus, "news", "hello"));
  EXPECT_TRUE(heard.wait_for("hello"));
}

TEST(NatsBus, InstallationsOnOneServerHearNothingOfEachOther) {
  NatsServer server;
  TestNode node;
  TestNode other_node;
  const auto bus = node.open(server.url(), "one");
  const auto other = other_node.open(server.url(), "two");
  Heard heard;
  const auto a = subscribed(*bus, "news", heard.handler());
  const auto mine = bus->leases("nodes", hours(1));
  const auto theirs = other->leases("nodes", hours(1));
  ASSERT_TRUE(succeeded(other->publish("news", "not for us")));
  ASSERT_TRUE(flushed(*other));
  ASSERT_TRUE(succeeded(bus->publish("news", "last")));
  EXPECT_TRUE(heard.wait_for("last"));
  EXPECT_THAT(heard.all(), ElementsAre("last"));
  EXPECT_TRUE(succeeded((*mine)->acquire("node1", "a")));
  EXPECT_TRUE(succeeded((*theirs)->acquire("node1", "b")));
}

TEST(NatsBus, UserPasswordAndTokenAreShownToTheServer) {
  NatsServer server("authorization { user: gateway, password: \"s3:cret\" }");
  TestNode node;
  NatsOptions options;
  options.url = "nats://gateway:s3%3Acret@" + server.address();
  Heard heard;
  {
    const auto bus = node.open(options);
    const auto a = subscribed(*bus, "news", heard.handler());
    ASSERT_TRUE(succeeded(bus->publish("news", "x")));
    EXPECT_TRUE(heard.wait_for("x"));
  }
  options.url = "nats://gateway@" + server.address();
  options.password_file = server.file("password");
  std::ofstream(options.password_file) << "s3:cret\n";
  EXPECT_NE(node.open(options), nullptr);

  std::ofstream(options.password_file) << "wr0ng\n";
  const auto refused = open_nats_bus(options, node.random, node.metrics);
  ASSERT_TRUE(failed_with(refused, ErrorCode::kBusFailed));
  EXPECT_THAT(refused.error().detail, Not(AnyOf(HasSubstr("wr0ng"), HasSubstr("s3:cret"))));
  EXPECT_THAT(refused.error().detail, HasSubstr("uthorization"));

  server.kill();
  server.configure("authorization { token: \"t0ken\" }");
  server.start();
  options = {};
  options.url = "nats://t0ken@" + server.address();
  EXPECT_NE(node.open(options), nullptr);
}

TEST(NatsBus, NeedsNoMorePermissionsThanTheManualSays) {
  NatsServer server(
      "authorization { users: [ { user: u, password: p, permissions: {\n"
      "  publish: [\"countersign.>\", \"$KV.>\", \"$JS.API.>\"]\n"
      "  subscribe: [\"countersign.>\", \"_INBOX.>\"] } } ] }");
  TestNode node;
  const auto bus = node.open("nats://u:p@" + server.address());
  Gaps gaps(*bus);
  Heard heard;
  const auto a = subscribed(*bus, "news", heard.handler());
  ASSERT_TRUE(succeeded(bus->publish("news", "x")));
  EXPECT_TRUE(heard.wait_for("x"));
  const auto leases = bus->leases("nodes", hours(1));
  ASSERT_TRUE(succeeded(leases));
  const auto first = (*leases)->acquire("node1", "a");
  ASSERT_TRUE(succeeded(first));
  EXPECT_TRUE(succeeded((*leases)->release("node1", *first)));
  EXPECT_TRUE(succeeded((*leases)->acquire("node1", "a")));
  EXPECT_EQ((*leases)->list()->size(), 1u);
  EXPECT_TRUE(succeeded(bus->leases("nodes", hours(2))));
  EXPECT_EQ(gaps.count(), 0);
}

TEST(NatsBus, TlsWantsACertificateOfTheServersAddressFromOurAuthority) {
  const TestFolder folder;
  make_certificate(folder, "server", "IP:127.0.0.1");
  make_certificate(folder, "other", "DNS:elsewhere.example");
  const auto tls = [&](const std::string& name) {
    return "tls { cert_file: \"" + folder.file(name + ".pem") + "\", key_file: \"" +
           folder.file(name + ".key") + "\" }";
  };
  NatsServer server(tls("server"));
  TestNode node;
  NatsOptions options;
  options.url = "tls://" + server.address();
  options.ca_file = folder.file("server.pem");
  {
    const auto bus = node.open(options);
    Heard heard;
    const auto a = subscribed(*bus, "news", heard.handler());
    ASSERT_TRUE(succeeded(bus->publish("news", "x")));
    EXPECT_TRUE(heard.wait_for("x"));
  }
  options.ca_file = folder.file("other.pem");
  const auto unsigned_by = open_nats_bus(options, node.random, node.metrics);
  ASSERT_TRUE(failed_with(unsigned_by, ErrorCode::kBusFailed));
  EXPECT_THAT(unsigned_by.error().detail, HasSubstr("certificate"));
  options.ca_file.clear();
  EXPECT_TRUE(failed_with(open_nats_bus(options, node.random, node.metrics), ErrorCode::kBusFailed))
      << "the system's authorities";

  server.kill();
  server.configure(tls("other"));
  server.start();
  options.ca_file = folder.file("other.pem");
  EXPECT_TRUE(failed_with(open_nats_bus(options, node.random, node.metrics), ErrorCode::kBusFailed))
      << "a certificate of another host";

  server.kill();
  server.configure("");
  server.start();
  EXPECT_TRUE(failed_with(open_nats_bus(options, node.random, node.metrics), ErrorCode::kBusFailed))
      << "a server without TLS";
}

TEST(NatsBus, RefusedCredentialsAreTriedAgainUntilTheServerTakesThem) {
  NatsServer server("authorization { token: \"right\" }");
  TestNode node;
  NatsOptions options;
  options.url = server.url();
  options.password_file = server.file("token");
  std::ofstream(options.password_file) << "right\n";
  const auto bus = node.open(options);
  Gaps gaps(*bus);
  Heard heard;
  const auto a = subscribed(*bus, "news", heard.handler());
  // The server gets a new token; libnats gives up after two refusals, the bus does not.
  server.kill();
  server.configure("authorization { token: \"new\" }");
  server.start();
  ASSERT_TRUE(server.wait_for_log("authentication error"));
  EXPECT_FALSE(bus->connected());
  std::ofstream(options.password_file) << "new\n";
  EXPECT_TRUE(gaps.wait_for_more_than(0));
  ASSERT_TRUE(published(*bus, "news", "back"));
  EXPECT_TRUE(heard.wait_for("back"));
}

TEST(NatsBus, EndsWhileTheServerIsStopped) {
  NatsServer server;
  TestNode node;
  auto bus = node.open(server.url());
  Heard heard;
  auto a = subscribed(*bus, "news", heard.handler());
  server.pause();
  for (int n = 0; n < 100; ++n) {
    static_cast<void>(bus->publish("news", std::string(100'000, 'x')));
  }
  std::promise<Result<void>> answer;
  bus->flush([&](const Result<void>& result) { answer.set_value(result); });
  const auto begun = steady_clock::now();
  bus.reset();
  EXPECT_LT(steady_clock::now() - begun, seconds(10));
  EXPECT_FALSE(answer.get_future().get().ok());
  a.reset();
}

TEST(NatsBus, LastPublicationsAreSentBeforeTheEnd) {
  NatsServer server;
  TestNode node;
  TestNode other_node;
  const auto other = other_node.open(server.url());
  Heard heard;
  const auto a = subscribed(*other, "news", heard.handler());
  {
    const auto bus = node.open(server.url());
    for (int n = 0; n < 1000; ++n) ASSERT_TRUE(succeeded(bus->publish("news", std::to_string(n))));
  }
  EXPECT_TRUE(heard.wait_for("999"));
  EXPECT_EQ(heard.all().size(), 1000u);
}

}  // namespace
}  // namespace countersign::bus
