// The conversation desk: answers what clients ask about conversations, members, receipts and
// blocked people.
//
// Long answers are bounded: a page ends early rather than outgrow `max_answer_bytes`, and says that
// there is more.
// Thread-safety: every call may be made from any thread. Calls block on the store and are made from
// a worker, except where it says otherwise. Errors are those that go on the wire.
// Source: docs/reference/messages.md, "Conversations", "Receipts", "Blocking".
#ifndef COUNTERSIGN_GATEWAY_CONVERSATION_DESK_H_
#define COUNTERSIGN_GATEWAY_CONVERSATION_DESK_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "countersign/result.h"

#include "base/clock.h"
#include "gateway/actions.h"
#include "gateway/audience_cache.h"
#include "gateway/message_desk.h"
#include "gateway/message_publisher.h"
#include "gateway/receipt_office.h"
#include "protocol/messaging_commands.h"
#include "storage/message_store.h"

namespace countersign::gateway {

struct ConversationDeskOptions {
  std::size_t max_answer_bytes = 64 * 1024;
  std::size_t max_blocks = 1'000;
  std::chrono::milliseconds typing_interval{1'000};  ///< of one person in one conversation
  std::size_t max_typing = 16'384;                   ///< who typed within it
};

class ConversationDesk {
 public:
  /// References outlive the desk.
  ConversationDesk(ConversationDeskOptions options, storage::MessageStore& store,
                   AudienceCache& audiences, MessagePublisher& publisher, ReceiptOffice& receipts,
                   const base::Clock& clock)
      : options_(options),
        store_(store),
        audiences_(audiences),
        publisher_(publisher),
        receipts_(receipts),
        clock_(clock) {}

  /// The reply to a request of these kinds; kNotAvailable for another.
  Result<std::string> answer(const Client& client, std::uint32_t id,
                             const MessagingRequest& request);

 private:
  Result<std::string> obey(const Client& client, std::uint32_t id, const protocol::Read& read);
  Result<std::string> obey(const Client& client, std::uint32_t id, const protocol::Typing& typing);
  Result<std::string> obey(const Client& client, std::uint32_t id,
                           const protocol::History& history);
  Result<std::string> obey(const Client& client, std::uint32_t id,
                           const protocol::ListConversations& list);
  Result<std::string> obey(const Client& client, std::uint32_t id,
                           const protocol::FindConversation& find);
  Result<std::string> obey(const Client& client, std::uint32_t id,
                           const protocol::ListMembers& list);
  Result<std::string> obey(const Client& client, std::uint32_t id, const protocol::Block& block);
  Result<std::string> obey(const Client& client, std::uint32_t id, const protocol::ListBlocked&);

  bool may_tell_typing(const std::string& who);

  const ConversationDeskOptions options_;
  storage::MessageStore& store_;
  AudienceCache& audiences_;
  MessagePublisher& publisher_;
  ReceiptOffice& receipts_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, base::SteadyTime> typed_;  // when it was last told
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_CONVERSATION_DESK_H_
