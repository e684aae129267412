// A message store that answers nothing: tests derive from it and answer what they are about.
#ifndef COUNTERSIGN_GATEWAY_STUB_MESSAGE_STORE_H_
#define COUNTERSIGN_GATEWAY_STUB_MESSAGE_STORE_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/message_store.h"

namespace countersign::gateway {

/// Every call that answers says kInternal; the callbacks of the hot path never run.
class StubMessageStore : public storage::MessageStore {
 public:
  void accept(storage::Send, std::function<void(Result<storage::Sent>)>) override {}
  void acknowledge(storage::Ack, std::function<void(Result<storage::Acked>)>) override {}
  Result<storage::Attached> attach(const storage::Attach&) override { return unused(); }
  Result<storage::InboxPage> read_inbox(const storage::UserKey&, std::int64_t, std::size_t,
                                        std::size_t) override {
    return unused();
  }
  Result<std::vector<std::int64_t>> tops(std::span<const storage::UserKey>) override {
    return unused();
  }
  Result<std::string> epoch() override { return unused(); }
  Result<void> renew_epoch(std::string_view) override { return unused(); }
  Result<std::vector<storage::Message>> history(const storage::UserKey&, std::string_view,
                                                std::int64_t, std::size_t) override {
    return unused();
  }
  Result<std::vector<storage::Conversation>> list_conversations(const storage::UserKey&,
                                                                base::SystemTime, std::string_view,
                                                                std::size_t) override {
    return unused();
  }
  Result<storage::Conversation> find_conversation(const storage::UserKey&,
                                                  std::string_view) override {
    return unused();
  }
  Result<std::vector<storage::Horizon>> members(const storage::UserKey&, std::string_view,
                                                const std::optional<Identity>&,
                                                std::size_t) override {
    return unused();
  }
  Result<std::optional<storage::Receipt>> mark_read(const storage::UserKey&, std::string_view,
                                                    std::int64_t, base::SystemTime) override {
    return unused();
  }
  Result<std::optional<storage::GroupCount>> count_receipts(const storage::UserKey&,
                                                            std::string_view) override {
    return unused();
  }
  Result<std::vector<bool>> share_conversation(const storage::UserKey&,
                                               std::span<const Identity>) override {
    return unused();
  }
  Result<void> open_inboxes(std::span<const storage::UserKey>, base::SystemTime) override {
    return unused();
  }
  Result<bool> set_blocked(const storage::UserKey&, const Identity&, bool, std::size_t,
                           base::SystemTime) override {
    return unused();
  }
  Result<std::vector<Identity>> list_blocked(const storage::UserKey&) override { return unused(); }
  Result<void> export_messages(const storage::UserKey&,
                               const std::function<bool(const storage::Message&)>&) override {
    return unused();
  }
  Result<std::size_t> erase(const storage::UserKey&, base::SystemTime, std::size_t) override {
    return unused();
  }
  Result<std::optional<storage::FanOut>> fan_out(std::size_t) override { return unused(); }
  Result<storage::Expiry> expire(base::SystemTime, std::size_t) override { return unused(); }
  Result<storage::Removal> remove_old(base::SystemTime, base::SystemTime, std::size_t) override {
    return unused();
  }

 private:
  static tl::unexpected<Error> unused() { return fail(ErrorCode::kInternal, "not for this test"); }
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_STUB_MESSAGE_STORE_H_
