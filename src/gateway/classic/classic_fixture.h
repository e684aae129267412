// What the tests of the classic gateway share: nodes on one real store and one bus, and clients
// that do what the classic SDK does. Shards run when the test runs them; workers are threads, and
// the tests wait for what they do.
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_FIXTURE_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_FIXTURE_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/fake_clock.h"
#include "base/log.h"
#include "bus/local/local_bus.h"
#include "gateway/classic/classic_gateway.h"
#include "gateway/fake_channel.h"
#include "gateway/gateway.h"
#include "protocol/mxp_frame.h"
#include "protocol/mxp_message.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::gateway::classic {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::string_view kTestKey = "0123456789abcdef0123456789abcdef";
inline constexpr const char* kTestApplication = "test-application";

/// What a classic page hears: a text, or a receipt.
struct Heard {
  std::uint32_t code = 0;
  std::string user;
  std::string session;
  std::string text;  ///< `bd`
  friend bool operator==(const Heard&, const Heard&) = default;
};

class ClassicGatewayTest : public testing::Test {
 protected:
  struct Node {
    std::unique_ptr<base::WorkerPool> workers;
    std::unique_ptr<Gateway> gateway;
    std::unique_ptr<ClassicGateway> classic;
    std::array<FakeShard, 2> shards;
  };

  /// One page with the classic SDK.
  struct Page {
    Node* node = nullptr;
    storage::Instance instance;
    Configuration keys;
    std::uint64_t token = 0;
    std::size_t shard = 0;
    std::uint32_t messages = 0;
  };

  ClassicGatewayTest() {
    base::set_log_level(base::LogLevel::kError);
    store_ = std::move(*storage::open_sqlite_store(directory_.options()));
    bus_ = bus::make_local_bus(clock_, metrics_);
  }
  ~ClassicGatewayTest() override {
    stop();
    base::set_log_level(base::LogLevel::kInfo);
  }

  void stop() {
    for (auto& node : nodes_) node->classic->shut_down();
    run();
    for (auto& node : nodes_) {
      node->workers->stop();
      node->classic->stop();
      node->gateway->stop();
    }
    run();
    for (auto& node : nodes_) node->classic.reset();
    nodes_.clear();
  }
  // Every node goes, and one comes back: what only stood in memory is gone.
  Node& restart(const storage::MessageMutants& mutants) {
    stop();
    store_.reset();
    storage::SqliteOptions options = directory_.options();
    options.mutants_for_test = mutants;
    store_ = std::move(*storage::open_sqlite_store(options));
    return add_node();
  }

  Node& add_node() {
    nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_.back();
    node.workers = std::make_unique<base::WorkerPool>("store", 2, 64);
    GatewayOptions options;
    options.shards = 2;
    options.store_clock = &clock_;
    const MessagingSetup messaging{{}, *bus_, nullptr, base::as_bytes(kTestKey)};
    node.gateway = std::make_unique<Gateway>(
        options, *store_, *node.workers, clock_, random_, metrics_,
        [] { return std::make_shared<const KeyRing>(); }, Policy::default_policy(),
        InstanceKeys("key", base::as_bytes(kTestKey)), &messaging);
    node.classic = std::make_unique<ClassicGateway>(
        ClassicSetup{options_, 2, *store_, *node.gateway->messaging(), node.gateway->poller(),
                     node.gateway->tasks(), clock_, clock_, random_, metrics_, nullptr,
                     base::as_bytes(kTestKey)});
    EXPECT_TRUE(node.gateway->poller().begin());
    node.gateway->messaging()->start();
    return node;
  }

  // An instance of the user, and a page of it. With `id` the page shares another's instance.
  Page sign_in(Node& node, const std::string& name, const std::string& id = {}) {
    Page page;
    page.node = &node;
    storage::Instance& instance = page.instance;
    instance.id = base::InstanceId(id.empty() ? "instance-" + std::to_string(++made_) : id);
    instance.application_key = kTestApplication;
    instance.identity = {IdentityType::kUsername, name};
    instance.device = classic_device(instance.id);
    instance.key_id = "key";
    instance.ticket_created = instance.created = clock_.now();
    instance.expires = clock_.now() + std::chrono::hours(24);
    InstanceDesk desk(store_->sessions(), store_->instances(), store_->revocations(), {});
    if (id.empty()) {
      EXPECT_TRUE(desk.create(instance, std::nullopt, clock_.now()));
    }
    page.keys = node.classic->configuration(instance);
    return page;
  }
  // As far as the first answer, which is the end of start().
  Page start(Node& node, const std::string& name, const std::string& id = {}) {
    Page page = sign_in(node, name, id);
    const auto first = poll(page);
    EXPECT_TRUE(first && first->items.empty());
    return page;
  }

  void run() {
    for (auto& node : nodes_) {
      for (FakeShard& shard : node->shards) shard.run();
    }
  }
  // Until it is so, or the test is lost.
  template <class Condition>
  bool wait(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (std::chrono::steady_clock::now() < end) {
      run();
      if (condition()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  void tick() {
    for (auto& node : nodes_) node->classic->tick();
    run();
  }
  // Time passes, and every node hears the revocations.
  void pass(std::chrono::microseconds by) {
    clock_.advance(by);
    for (auto& node : nodes_) ASSERT_TRUE(node->gateway->poller().tick());
    tick();
  }

  using Answer = std::shared_ptr<std::optional<Result<Polled>>>;
  Answer hold(Page& page, PollId* id = nullptr) {
    const Answer answer = std::make_shared<std::optional<Result<Polled>>>();
    const PollId poll = page.node->classic->subscribe(
        page.shard, page.node->shards[page.shard],
        {page.keys.subscribe_key,
         {page.keys.broadcast_channel, page.keys.transport_channel},
         page.token},
        [answer](Result<Polled> polled) { *answer = std::move(polled); });
    if (id != nullptr) *id = poll;
    return answer;
  }
  Result<Polled> finish(Page& page, const Answer& answer) {
    if (!wait([&] { return answer->has_value(); })) {
      ADD_FAILURE() << "the poll was not answered";
      return fail(ErrorCode::kInternal, "no answer");
    }
    if (**answer) page.token = (**answer)->timetoken;
    return **answer;
  }
  Result<Polled> poll(Page& page) { return finish(page, hold(page)); }

  // What the frames say, once they are joined and decrypted as the SDK does it.
  std::vector<Heard> read(Page& page, const Polled& polled) {
    std::vector<Heard> heard;
    std::map<std::string, std::map<std::uint32_t, std::string>> parts;
    for (const protocol::ClassicItem& item : polled.items) {
      EXPECT_EQ(item.channel, page.keys.transport_channel);
      EXPECT_LE(item.text.size(), 1'600U);
      const auto frame = protocol::parse_mxp_frame(item.text);
      EXPECT_TRUE(frame);
      auto& set = parts[frame->session + frame->mark];
      set[frame->index] = frame->payload;
      if (set.size() < frame->count) continue;
      std::string payload;
      for (const auto& [index, part] : set) payload += part;
      set.clear();
      const auto transport = page.node->classic->find_transport(page.instance, frame->transport);
      EXPECT_TRUE(transport);
      const auto text = protocol::decrypt_mxp(key_of(*transport), payload);
      EXPECT_TRUE(text);
      const auto message = protocol::decode_mxp_message(*text);
      EXPECT_TRUE(message);
      // The sender's channel is how the SDK finds the sender among the participants.
      EXPECT_TRUE(std::any_of(transport->participants.begin(), transport->participants.end(),
                              [&](const Participant& one) {
                                return one.channel == message->channel &&
                                       one.user.endpoint == message->user;
                              }));
      heard.push_back({message->code, message->user, frame->session, message->body});
    }
    return heard;
  }
  // Polls until something came.
  std::vector<Heard> hear(Page& page) {
    const auto polled = poll(page);
    EXPECT_TRUE(polled);
    return polled ? read(page, *polled) : std::vector<Heard>();
  }

  static std::string key_of(const TransportView& transport) {
    std::string text = transport.key;
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    std::erase(text, '=');
    const auto raw = base::base64url_decode(text);
    return raw ? std::string(raw->begin(), raw->end()) : std::string();
  }
  protocol::MxpMessage message_of(const Page& page, std::uint32_t code) const {
    protocol::MxpMessage message;
    message.code = code;
    message.type = "msg";
    message.user = page.instance.identity.endpoint;
    message.instance = page.instance.id.text() + ":17";
    message.device = page.instance.id.text();
    message.channel = page.keys.transport_channel;
    return message;
  }
  TransportView transport(Page& page, const std::vector<std::string>& names) {
    std::vector<Identity> people;
    for (const auto& name : names) people.push_back({IdentityType::kUsername, name});
    auto opened = page.node->classic->open_transport(page.instance, people);
    EXPECT_TRUE(opened);
    return opened ? *opened : TransportView();
  }
  std::vector<std::string> frames(const TransportView& transport, const std::string& session,
                                  const protocol::MxpMessage& message) {
    protocol::MxpIv iv{};
    random_.fill(iv);
    const auto payload =
        protocol::encrypt_mxp(key_of(transport), iv, protocol::encode_mxp_message(message));
    EXPECT_TRUE(payload);
    return protocol::split_mxp_payload(session, transport.id, *payload, ++mark_);
  }
  Result<std::uint64_t> publish(Page& page, const std::string& channel, const std::string& frame) {
    auto answer = std::make_shared<std::optional<Result<std::uint64_t>>>();
    page.node->classic->publish(page.shard, page.node->shards[page.shard],
                                {page.keys.publish_key, page.keys.subscribe_key, channel, frame},
                                [answer](Result<std::uint64_t> sent) { *answer = sent; });
    if (!wait([&] { return answer->has_value(); })) {
      ADD_FAILURE() << "the publish was not answered";
      return fail(ErrorCode::kInternal, "no answer");
    }
    return **answer;
  }
  // Refusals take their time: this lets it pass.
  ErrorCode refusal_of(Page& page, const std::string& channel, const std::string& frame) {
    auto answer = std::make_shared<std::optional<Result<std::uint64_t>>>();
    page.node->classic->publish(page.shard, page.node->shards[page.shard],
                                {page.keys.publish_key, page.keys.subscribe_key, channel, frame},
                                [answer](Result<std::uint64_t> sent) { *answer = sent; });
    EXPECT_TRUE(wait([&] {
      pass(milliseconds(100));
      return answer->has_value();
    }));
    if (!answer->has_value() || **answer) return ErrorCode::kInternal;
    return (**answer).code();
  }
  // Every frame on the channel of everybody, the sender's own first, as the SDK does.
  void send_all(Page& page, const TransportView& transport, const std::vector<std::string>& all) {
    std::vector<std::string> channels{page.keys.transport_channel};
    for (const Participant& person : transport.participants) {
      if (person.channel != channels.front()) channels.push_back(person.channel);
    }
    for (const std::string& channel : channels) {
      for (const std::string& frame : all) EXPECT_TRUE(publish(page, channel, frame));
    }
  }
  std::string say(Page& page, const std::vector<std::string>& to, const std::string& text) {
    const TransportView view = transport(page, to);
    EXPECT_EQ(view.participants.size(), to.size());
    protocol::MxpMessage message = message_of(page, protocol::kMxpText);
    message.body = "{\"t\":\"" + text + "\"}";
    const std::string session =
        page.instance.id.text() + "-message-" + std::to_string(++page.messages);
    send_all(page, view, frames(view, session, message));
    return session;
  }
  // The receipt of one of the messages that were heard.
  void confirm(Page& page, const std::string& sender, const std::string& session,
               const std::vector<std::string>& to) {
    const TransportView view = transport(page, to);
    const auto to_whom =
        std::find_if(view.participants.begin(), view.participants.end(),
                     [&](const Participant& person) { return person.user.endpoint == sender; });
    ASSERT_NE(to_whom, view.participants.end());
    const auto receipt = frames(view, session, message_of(page, protocol::kMxpReceipt));
    ASSERT_EQ(receipt.size(), 1U);
    EXPECT_TRUE(publish(page, to_whom->channel, receipt.front()));
  }
  std::int64_t cursor(const Page& page) {
    storage::Attach attach;
    attach.user = {kTestApplication, page.instance.identity};
    attach.device = page.instance.device;
    attach.now = clock_.now();
    const auto attached = store_->messages().attach(attach);
    EXPECT_TRUE(attached);
    return attached ? attached->cursor : -1;
  }

  std::int64_t inbox_top(const Page& page) {
    const storage::UserKey user{kTestApplication, page.instance.identity};
    const auto tops = store_->messages().tops({&user, 1});
    EXPECT_TRUE(tops);
    return tops ? tops->at(0) : -1;
  }

  ClassicOptions options_;
  storage::TestDirectory directory_;
  base::FakeClock clock_;
  base::SeededRandom random_{11};
  base::Metrics metrics_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<bus::Bus> bus_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::uint32_t mark_ = 1'000;
  int made_ = 0;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_FIXTURE_H_
