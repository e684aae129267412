// Property: any body of any messaging verb is read within its bounds or refused with one of three
// codes; what is read reads the same once written again; and the body of a message is the inside of
// a JSON object on one line that holds nothing but text, headers and attachments.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/client_messages.h"
#include "protocol/command.h"
#include "protocol/inbox_messages.h"
#include "protocol/strict_json.h"

namespace countersign::protocol {
namespace {

constexpr std::array<std::string_view, 17> kVerbs = {
    "send",        "ack",     "sync",           "read",
    "typing",      "history", "conversations",  "group",
    "members",     "block",   "conversation",   "unblock",
    "blocked",     "connect", "presence.watch", "presence.unwatch",
    "presence.set"};

void require(bool truth) {
  if (!truth) std::abort();
}

void check_users(const std::vector<Identity>& users, std::size_t max) {
  require(users.size() <= max);
  for (std::size_t i = 1; i < users.size(); ++i) require(ordered_before(users[i - 1], users[i]));
}

void check_send(const Send& send) {
  check_users(send.to.users, kMaxRecipients);
  require(send.to.id.empty() != send.to.users.empty());
  require(!send.body.empty() && send.body.size() <= kMaxBodyBytes);
  require(send.body.find('\n') == std::string::npos);
  const auto inside = read_strict_json("{" + send.body + "}");
  require(inside && !inside->objectionable && inside->value.is_object());
  for (const auto& member : inside->value.get_object()) {
    require(member.key() == "text" || member.key() == "headers" || member.key() == "attachments");
  }
  const Identity from{IdentityType::kUsername, "ann"};
  MessageView message;
  message.from = &from;
  message.body = send.body;
  const auto entry = read_strict_json(join_entry(1, "12345678", encode_message_tail(message)));
  require(entry && !entry->objectionable);
}

void check(const Command& command) {
  if (const auto* refused = std::get_if<Refused>(&command.verb)) {
    require(refused->code == ErrorCode::kBadRequest ||
            refused->code == ErrorCode::kMessageTooLarge ||
            refused->code == ErrorCode::kLimitExceeded || refused->code == ErrorCode::kUnknownVerb);
    return;
  }
  if (const auto* send = std::get_if<Send>(&command.verb)) check_send(*send);
  if (const auto* watch = std::get_if<WatchPresence>(&command.verb)) {
    check_users(watch->users, kMaxWatched);
  }
  if (const auto* change = std::get_if<ChangeGroup>(&command.verb)) {
    check_users(change->users, kMaxGroupUsers);
    require(change->name.size() <= kMaxGroupNameBytes);
  }
  const auto again = decode_message(encode_command(command));
  require(again.ok() && std::get<Command>(*again) == command);
}

}  // namespace
}  // namespace countersign::protocol

// The first byte chooses the verb; the rest is the body, as it stands in the command.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace countersign::protocol;
  if (size == 0) return 0;
  std::string text = R"({"id":1,")";
  text.append(kVerbs[data[0] % kVerbs.size()]).append("\":");
  text.append(reinterpret_cast<const char*>(data + 1), size - 1).append("}");
  const auto message = decode_message(text);
  if (!message) return 0;
  if (const auto* command = std::get_if<Command>(&*message)) check(*command);
  return 0;
}
