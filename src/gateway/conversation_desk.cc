#include "gateway/conversation_desk.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/inbox_text.h"
#include "protocol/conversation_messages.h"
#include "protocol/server_messages.h"
#include "storage/message_ids.h"

namespace countersign::gateway {
namespace {

using protocol::ConversationView;
using protocol::MemberView;

template <class T>
tl::unexpected<Error> failure_of(const Result<T>& result, const Client& client,
                                 const protocol::ConversationName& asked = {}) {
  return fail(told(client, result.code(), asked.id), result.error().detail);
}

std::string name_of(const Client& client, const protocol::ConversationName& conversation) {
  if (!conversation.id.empty()) return conversation.id;
  std::vector<Identity> members = conversation.users;
  members.push_back(client.user.identity);
  return storage::direct_conversation_id(client.user.application,
                                         storage::sorted_identities(std::move(members)));
}

MemberView view_of(const storage::Horizon& horizon) {
  return {&horizon.member, horizon.delivered, horizon.read};
}

std::string text_of(const storage::Conversation& conversation) {
  std::vector<MemberView> members;
  for (const auto& horizon : conversation.members) members.push_back(view_of(horizon));
  const std::string last = conversation.last ? history_text(*conversation.last) : std::string();
  ConversationView view;
  view.id = conversation.id;
  view.group = conversation.group;
  view.name = conversation.name;
  view.version = conversation.version;
  view.member = conversation.member;
  view.admin = conversation.admin;
  view.member_count = conversation.member_count;
  view.members = members;
  view.top = conversation.top;
  view.read = conversation.read;
  view.unread = conversation.unread;
  view.last = last;
  if (conversation.top > 0) view.last_time = conversation.last_time;
  return protocol::encode_conversation(view);
}

// Where a page of conversations ended, as the client shows it again.
std::string page_mark(const storage::Conversation& last) {
  return std::to_string(last.last_time.time_since_epoch().count()) + "." + last.id;
}

std::optional<std::pair<base::SystemTime, std::string>> read_page_mark(const std::string& mark) {
  base::SystemTime::rep count = 0;
  const char* end = mark.data() + mark.size();
  const auto [stop, error] = std::from_chars(mark.data(), end, count);
  if (error != std::errc() || stop == end || *stop != '.' || stop + 1 == end) return std::nullopt;
  return std::pair(base::SystemTime(base::SystemTime::duration(count)), std::string(stop + 1, end));
}

}  // namespace

Result<std::string> ConversationDesk::answer(const Client& client, std::uint32_t id,
                                             const MessagingRequest& request) {
  return std::visit(
      [&](const auto& what) -> Result<std::string> {
        if constexpr (requires { this->obey(client, id, what); }) {
          return obey(client, id, what);
        } else {
          return fail(ErrorCode::kNotAvailable, "no question about a conversation");
        }
      },
      request);
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::Read& read) {
  const std::string conversation = name_of(client, read.conversation);
  const auto moved = store_.mark_read(client.user, conversation, read.seq, clock_.now());
  if (!moved) return failure_of(moved, client, read.conversation);
  if (*moved) {
    receipts_.add_read(client.user.application, **moved);
    return protocol::encode_read_reply(id, (*moved)->horizon.read);
  }
  const auto stands = store_.find_conversation(client.user, conversation);
  if (!stands) return failure_of(stands, client, read.conversation);
  return protocol::encode_read_reply(id, stands->read);
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::Typing& typing) {
  const std::string conversation = name_of(client, typing.conversation);
  const auto audience =
      find_audience(store_, audiences_, client.user, conversation, clock_.steady());
  if (!audience) return failure_of(audience, client, typing.conversation);
  std::vector<Identity> others = **audience;
  std::erase(others, client.user.identity);
  protocol::LooseEvent event;
  event.kind = protocol::LooseEvent::Kind::kTyping;
  event.key = conversation + ' ' + std::string(identity_type_name(client.user.identity.type)) +
              ' ' + client.user.identity.endpoint;
  event.push = protocol::encode_typing_push(conversation, client.user.identity, typing.start);
  if (may_tell_typing(client.user.application + ' ' + event.key)) {
    publisher_.loose(client.user.application, others, event);
  }
  return protocol::encode_typing_reply(id);
}

bool ConversationDesk::may_tell_typing(const std::string& who) {
  const base::SteadyTime now = clock_.steady();
  const auto over = [&](base::SteadyTime told) { return now - told >= options_.typing_interval; };
  const std::lock_guard lock(mutex_);
  if (typed_.size() >= options_.max_typing) {
    std::erase_if(typed_, [&](const auto& entry) { return over(entry.second); });
    if (typed_.size() >= options_.max_typing) return false;
  }
  const auto [entry, first] = typed_.try_emplace(who, now);
  if (!first && !over(entry->second)) return false;
  entry->second = now;
  return true;
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::History& history) {
  const std::string conversation = name_of(client, history.conversation);
  const std::int64_t before =
      history.before == 0 ? std::numeric_limits<std::int64_t>::max() : history.before;
  const auto found = store_.history(client.user, conversation, before, history.limit + 1);
  if (!found) return failure_of(found, client, history.conversation);
  std::vector<std::string> messages;
  std::size_t bytes = 0;
  for (const storage::Message& message : *found) {
    if (messages.size() == history.limit) break;
    std::string text = history_text(message);
    if (!messages.empty() && bytes + text.size() > options_.max_answer_bytes) break;
    bytes += text.size();
    messages.push_back(std::move(text));
  }
  const bool more = messages.size() < found->size();
  return protocol::encode_history_reply(id, conversation, messages, more);
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::ListConversations& list) {
  base::SystemTime before_time = base::SystemTime::max();
  std::string before_id;
  if (!list.after.empty()) {
    auto mark = read_page_mark(list.after);
    if (!mark) return fail(ErrorCode::kBadRequest, "no mark of ours");
    before_time = mark->first;
    before_id = std::move(mark->second);
  }
  const auto found = store_.list_conversations(client.user, before_time, before_id, list.limit + 1);
  if (!found) return failure_of(found, client);
  std::vector<std::string> conversations;
  std::size_t bytes = 0;
  for (const storage::Conversation& conversation : *found) {
    if (conversations.size() == list.limit) break;
    std::string text = text_of(conversation);
    if (!conversations.empty() && bytes + text.size() > options_.max_answer_bytes) break;
    bytes += text.size();
    conversations.push_back(std::move(text));
  }
  const bool more = conversations.size() < found->size();
  const std::string next = more ? page_mark((*found)[conversations.size() - 1]) : std::string();
  return protocol::encode_conversations_reply(id, conversations, next);
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::FindConversation& find) {
  const std::string conversation = name_of(client, find.conversation);
  const auto found = store_.find_conversation(client.user, conversation);
  if (found) return protocol::encode_conversation_reply(id, text_of(*found));
  if (found.code() != ErrorCode::kAbsent || !find.conversation.id.empty()) {
    return failure_of(found, client, find.conversation);
  }
  // These people have not talked yet.
  storage::Conversation fresh;
  fresh.id = conversation;
  std::vector<Identity> members = find.conversation.users;
  members.push_back(client.user.identity);
  for (Identity& member : storage::sorted_identities(std::move(members))) {
    fresh.members.push_back({conversation, std::move(member), 0, 0});
  }
  fresh.member_count = fresh.members.size();
  return protocol::encode_conversation_reply(id, text_of(fresh));
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::ListMembers& list) {
  const std::string conversation = name_of(client, list.conversation);
  const auto found = store_.members(client.user, conversation, list.after, list.limit + 1);
  if (!found) return failure_of(found, client, list.conversation);
  std::vector<MemberView> members;
  for (const storage::Horizon& horizon : *found) {
    if (members.size() < list.limit) members.push_back(view_of(horizon));
  }
  return protocol::encode_members_reply(id, members, members.size() < found->size());
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::Block& block) {
  const auto done =
      store_.set_blocked(client.user, block.user, block.blocked, options_.max_blocks, clock_.now());
  if (!done) return failure_of(done, client);
  return protocol::encode_block_reply(id, block.blocked);
}

Result<std::string> ConversationDesk::obey(const Client& client, std::uint32_t id,
                                           const protocol::ListBlocked&) {
  const auto found = store_.list_blocked(client.user);
  if (!found) return failure_of(found, client);
  return protocol::encode_blocked_reply(id, *found);
}

}  // namespace countersign::gateway
