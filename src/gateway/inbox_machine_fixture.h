// The inbox machine on the bench: a test tells it what happens, and looks at what it wants done.
// The entries are those of one stream, each with its true chain.
// Thread-safety: none; for tests alone.
#ifndef COUNTERSIGN_GATEWAY_INBOX_MACHINE_FIXTURE_H_
#define COUNTERSIGN_GATEWAY_INBOX_MACHINE_FIXTURE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/inbox_machine.h"
#include "storage/message_ids.h"

namespace countersign::gateway {

class InboxTest : public testing::Test {
 protected:
  static constexpr const char* kDevice = "tab-1";

  InboxTest() { attach(); }

  void attach(std::int64_t from = 0, std::int64_t top = 0, bool news = false) {
    storage::Attached attached;
    attached.epoch = "e1";
    attached.top = top;
    attached.cursor = attached.from = from;
    attached.from_chain = chain(from);
    inbox_ = std::make_unique<InboxMachine>(config_, attached, news, now_);
    out_.clear();
    inbox_->start(now_, out_);
  }
  // The chain of the one stream of these tests.
  static std::string chain(std::int64_t offset) {
    std::string at = storage::first_chain();
    for (std::int64_t i = 1; i <= offset; ++i) at = storage::next_chain(at, id(i), i);
    return at;
  }
  static std::string id(std::int64_t offset) {
    return std::string(15, 'm') + static_cast<char>('A' + offset % 64);
  }
  static protocol::EntryEvent event(std::int64_t offset) {
    protocol::EntryEvent entry;
    entry.offset = offset;
    entry.chain = chain(offset);
    entry.id = id(offset);
    entry.epoch = "e1";
    entry.device = "another";
    entry.entry = "{\"offset\":" + std::to_string(offset) + "}";
    entry.stub = "{\"stub\":" + std::to_string(offset) + "}";
    return entry;
  }
  static storage::InboxPage page(std::int64_t first, std::int64_t last, std::int64_t top,
                                 std::size_t body = 10) {
    storage::InboxPage page;
    page.epoch = "e1";
    page.top = top;
    for (std::int64_t offset = first; offset <= last; ++offset) {
      storage::Entry entry;
      entry.offset = offset;
      entry.chain = chain(offset);
      entry.message.conversation = "c-1";
      entry.message.seq = offset;
      entry.message.id = "m";
      entry.message.sender = {IdentityType::kUsername, "bob"};
      entry.message.body = "\"text\":\"" + std::string(body, 'x') + "\"";
      page.entries.push_back(std::move(entry));
    }
    return page;
  }

  // Events; what the machine did about the last one is in out_.
  void entry(std::int64_t offset) { entry(event(offset)); }
  void entry(const protocol::EntryEvent& what) {
    out_.clear();
    inbox_->on_entry(what, kDevice, now_, out_);
  }
  void read(Result<storage::InboxPage> what) {
    out_.clear();
    inbox_->on_page(what, kDevice, now_, out_);
  }
  void attached(Result<storage::Attached> what) {
    out_.clear();
    inbox_->on_attached(std::move(what), now_, out_);
  }
  void ack(std::int64_t offset, std::string epoch = "e1") {
    out_.clear();
    inbox_->ack(++command_, {std::move(epoch), offset}, now_, out_);
  }
  void stored(Result<std::int64_t> cursor) {
    out_.clear();
    inbox_->on_acknowledged(cursor, now_, out_);
  }
  void ask(MessagingRequest request) {
    out_.clear();
    inbox_->ask(++command_, std::move(request), now_, out_);
  }
  void pass(std::chrono::milliseconds by) {
    now_.steady += by;
    out_.clear();
    inbox_->on_timer(now_, out_);
  }

  std::vector<std::string> frames() const {
    std::vector<std::string> frames;
    for (const Action& action : out_) {
      if (const auto* send = std::get_if<SendFrame>(&action)) frames.push_back(send->frame);
    }
    return frames;
  }
  template <class T>
  const T* find() const {
    for (const Action& action : out_) {
      if (const T* found = std::get_if<T>(&action)) return found;
    }
    return nullptr;
  }
  bool pushed(const std::string& text) const {
    for (const std::string& frame : frames()) {
      if (frame.find(text) != std::string::npos) return true;
    }
    return false;
  }
  void expect_error(std::uint32_t command, ErrorCode code) const {
    const std::string begin = "{\"id\":" + std::to_string(command) +
                              ",\"error\":{\"code\":" + std::to_string(static_cast<int>(code));
    for (const std::string& frame : frames()) {
      if (frame.starts_with(begin)) return;
    }
    FAIL() << "no error " << begin;
  }
  void expect_read_after(std::int64_t offset) const {
    const auto* read = find<ReadInbox>();
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->after, offset);
  }
  void expect_no_read() const { EXPECT_EQ(find<ReadInbox>(), nullptr); }

  InboxConfig config_;
  Moment now_{base::SteadyTime(std::chrono::hours(1)),
              base::SystemTime(std::chrono::seconds(1767225600)), false, 0};
  Actions out_;
  std::uint32_t command_ = 0;
  std::unique_ptr<InboxMachine> inbox_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_INBOX_MACHINE_FIXTURE_H_
