#include "protocol/messaging_verbs.h"

#include <optional>
#include <string>
#include <utility>

#include "base/unicode.h"
#include "protocol/body_reader.h"
#include "protocol/inbox_messages.h"
#include "protocol/message_body.h"

namespace countersign::protocol {
namespace {

namespace json = boost::json;

// What was read, unless something did not fit.
Verb finish(const BodyReader& reader, Verb verb) {
  if (const auto fault = reader.fault()) return Refused{*fault};
  return verb;
}

// A member that has two words to choose from; true for the first. It must be there.
bool read_choice(BodyReader& reader, std::string_view name, std::string_view yes,
                 std::string_view no) {
  std::string word;
  reader.text(name, kMaxIdBytes, word).require(word == yes || word == no);
  return word == yes;
}

Verb decode_send(const json::object& body) {
  Send send;
  BodyReader reader(body);
  reader.id("msg_id", send.msg_id).require(!send.msg_id.empty()).conversation(send.to);
  std::int64_t seconds = 0;
  reader.integer("expires_in", 1, kMaxExpiry.count(), seconds);
  if (seconds != 0) send.expires_in = std::chrono::seconds(seconds);
  if (reader.fault()) return Refused{*reader.fault()};
  Result<std::string> content = write_message_body(body);
  if (!content) return Refused{content.code()};
  send.body = *std::move(content);
  return send;
}

Verb decode_ack(const json::object& body) {
  Ack ack;
  BodyReader reader(body);
  reader.id("epoch", ack.epoch)
      .integer("offset", 0, kMaxInteger, ack.offset)
      .require(!ack.epoch.empty() && reader.has("offset"));
  return finish(reader, std::move(ack));
}

Verb decode_sync(const json::object& body) {
  Sync sync;
  BodyReader reader(body);
  reader.position(sync.position);
  return finish(reader, std::move(sync));
}

Verb decode_read(const json::object& body) {
  Read read;
  BodyReader reader(body);
  reader.conversation(read.conversation)
      .integer("seq", 0, kMaxInteger, read.seq)
      .require(reader.has("seq"));
  return finish(reader, std::move(read));
}

Verb decode_typing(const json::object& body) {
  Typing typing;
  BodyReader reader(body);
  reader.conversation(typing.conversation);
  typing.start = read_choice(reader, "state", "start", "stop");
  return finish(reader, std::move(typing));
}

Verb decode_history(const json::object& body) {
  History history;
  BodyReader reader(body);
  reader.conversation(history.conversation)
      .integer("before", 1, kMaxInteger, history.before)
      .limit(history.limit);
  return finish(reader, std::move(history));
}

Verb decode_conversations(const json::object& body) {
  ListConversations list;
  BodyReader reader(body);
  reader.id("after", list.after, kMaxPageMarkBytes).limit(list.limit);
  return finish(reader, std::move(list));
}

Verb decode_conversation(const json::object& body) {
  FindConversation find;
  BodyReader reader(body);
  reader.conversation(find.conversation);
  return finish(reader, std::move(find));
}

Verb decode_members(const json::object& body) {
  ListMembers list;
  BodyReader reader(body);
  reader.conversation(list.conversation).identity("after", list.after).limit(list.limit);
  return finish(reader, std::move(list));
}

std::optional<ChangeGroup::Action> parse_action(std::string_view word) {
  using Action = ChangeGroup::Action;
  for (const Action action :
       {Action::kCreate, Action::kAdd, Action::kRemove, Action::kLeave, Action::kRename}) {
    if (word == action_name(action)) return action;
  }
  return std::nullopt;
}

void read_group_name(BodyReader& reader, std::string& name) {
  reader.visible("name", kMaxGroupNameBytes, name);
  const auto characters = base::count_code_points(name);
  if (characters && *characters > kMaxGroupNameCharacters) {
    reader.refuse(ErrorCode::kMessageTooLarge);
  }
}

Verb decode_group(const json::object& body) {
  using Action = ChangeGroup::Action;
  ChangeGroup change;
  BodyReader reader(body);
  std::string word;
  reader.id("msg_id", change.msg_id)
      .text("action", kMaxIdBytes, word)
      .id("conv", change.conversation)
      .identities("users", kMaxGroupUsers, change.users);
  read_group_name(reader, change.name);
  const std::optional<Action> action = parse_action(word);
  if (!action) return finish(reader.refuse(ErrorCode::kBadRequest), std::move(change));
  change.action = *action;
  // Each action has its members, and one that belongs to another action is a mistake.
  const bool creates = *action == Action::kCreate;
  const bool moves = *action == Action::kAdd || *action == Action::kRemove;
  const bool names = creates || *action == Action::kRename;
  reader.require(!change.msg_id.empty() && creates == change.conversation.empty())
      .require(creates || moves == !change.users.empty())
      .require(creates || moves || !reader.has("users"))
      .require(names == !change.name.empty());
  return finish(reader, std::move(change));
}

template <bool blocked>
Verb decode_block(const json::object& body) {
  Block block;
  block.blocked = blocked;
  BodyReader reader(body);
  reader.identity("user", block.user).require(reader.has("user"));
  return finish(reader, std::move(block));
}

Verb decode_blocked(const json::object&) { return ListBlocked{}; }

template <bool watch>
Verb decode_watch(const json::object& body) {
  WatchPresence presence;
  presence.watch = watch;
  BodyReader reader(body);
  reader.identities("users", kMaxWatched, presence.users).require(!presence.users.empty());
  return finish(reader, std::move(presence));
}

Verb decode_set_presence(const json::object& body) {
  SetPresence presence;
  BodyReader reader(body);
  presence.away = read_choice(reader, "state", "away", "online");
  return finish(reader, presence);
}

constexpr VerbRow kRows[] = {
    {"send", decode_send},
    {"ack", decode_ack},
    {"sync", decode_sync},
    {"read", decode_read},
    {"typing", decode_typing},
    {"history", decode_history},
    {"conversations", decode_conversations},
    {"conversation", decode_conversation},
    {"members", decode_members},
    {"group", decode_group},
    {"block", decode_block<true>},
    {"unblock", decode_block<false>},
    {"blocked", decode_blocked},
    {"presence.watch", decode_watch<true>},
    {"presence.unwatch", decode_watch<false>},
    {"presence.set", decode_set_presence},
};

}  // namespace

std::span<const VerbRow> messaging_verbs() { return kRows; }

}  // namespace countersign::protocol
