#include "protocol/command_generators.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "protocol/message_body.h"

namespace countersign::protocol {
namespace {

// What people see: NFC as it stands, no control character, at most so many pieces of up to four
// bytes.
std::string visible(std::size_t max_pieces) {
  const auto piece = rc::gen::element<std::string>("a", "\"", "\\", "\xC3\xA9", "\xE2\x80\xA8",
                                                   "\xF0\x9F\x98\x80", " ", "\\n");
  const auto parts = *rc::gen::container<std::vector<std::string>>(piece);
  std::string out = "n";
  for (std::size_t i = 0; i < parts.size() && i + 1 < max_pieces; ++i) out += parts[i];
  return out;
}

Identity any_user() {
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return {IdentityType::kUsername, visible(20)};
    case 1:
      return {IdentityType::kEmail, "u" + std::to_string(*rc::gen::inRange(0, 99)) + "@a.example"};
    default:
      return {IdentityType::kNumber, "+4930" + std::to_string(*rc::gen::inRange(10000, 99999))};
  }
}

std::vector<Identity> any_users(int min, int max) {
  std::vector<Identity> users;
  for (int i = *rc::gen::inRange(min, max + 1); i > 0; --i) users.push_back(any_user());
  std::sort(users.begin(), users.end(), ordered_before);
  users.erase(std::unique(users.begin(), users.end()), users.end());
  return users;
}

ConversationName any_conversation() {
  if (*rc::gen::arbitrary<bool>()) return {*id_text(), {}};
  return {"", any_users(1, static_cast<int>(kMaxRecipients))};
}

std::int64_t any_integer(std::int64_t min) {
  return *rc::gen::oneOf(rc::gen::inRange<std::int64_t>(min, 1000),
                         rc::gen::inRange<std::int64_t>(kMaxInteger - 1000, kMaxInteger + 1));
}

std::size_t any_limit() { return *rc::gen::inRange<std::size_t>(1, kMaxPage + 1); }

ClientPosition any_position() {
  return {*id_text(), any_integer(0),
          *rc::gen::container<std::string>(kChainBytes, rc::gen::arbitrary<char>())};
}

// A body in canonical form, made from one in any form.
std::string any_body() {
  boost::json::object body;
  body["text"] = *text(300);
  boost::json::object headers;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) headers[visible(8)] = visible(20);
  body["headers"] = std::move(headers);
  boost::json::array attachments;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    boost::json::object attachment{{"url", "https://files.example/" + std::to_string(i)}};
    if (*rc::gen::arbitrary<bool>()) attachment["name"] = visible(20);
    if (*rc::gen::arbitrary<bool>()) attachment["size"] = any_integer(0);
    attachments.emplace_back(std::move(attachment));
  }
  body["attachments"] = std::move(attachments);
  const Result<std::string> written = write_message_body(body);
  RC_ASSERT(written.ok());
  return *written;
}

ChangeGroup any_change() {
  using Action = ChangeGroup::Action;
  ChangeGroup change;
  change.msg_id = *id_text();
  change.action = *rc::gen::element(Action::kCreate, Action::kAdd, Action::kRemove, Action::kLeave,
                                    Action::kRename);
  if (change.action != Action::kCreate) change.conversation = *id_text();
  if (change.action == Action::kCreate) change.users = any_users(0, 20);
  if (change.action == Action::kAdd || change.action == Action::kRemove) {
    change.users = any_users(1, 20);
  }
  if (change.action == Action::kCreate || change.action == Action::kRename) {
    change.name = visible(60);
  }
  return change;
}

Connect any_connect() {
  Connect connect;
  if (*rc::gen::arbitrary<bool>()) {
    connect.user_ticket = *text(300);
  } else {
    connect.instance = *id_text();
    connect.secret = *text(kMaxIdBytes);
  }
  connect.device = *maybe(id_text());
  connect.client = {*maybe(text(kMaxIdBytes)), *maybe(text(kMaxIdBytes))};
  connect.messaging = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) connect.resume = any_position();
  return connect;
}

Send any_send() {
  Send send{*id_text(), any_conversation(), any_body(), std::nullopt};
  if (*rc::gen::arbitrary<bool>()) {
    send.expires_in = std::chrono::seconds(*rc::gen::inRange<long>(1, kMaxExpiry.count() + 1));
  }
  return send;
}

ListMembers any_list_members() {
  ListMembers list{any_conversation(), std::nullopt, any_limit()};
  if (*rc::gen::arbitrary<bool>()) list.after = any_user();
  return list;
}

decltype(Command::verb) any_verb() {
  switch (*rc::gen::inRange(0, 18)) {
    case 0:
      return any_connect();
    case 1:
      return Refresh{*text(300)};
    case 2:
      return Terminate{};
    case 3:
      return Ping{};
    case 4:
      return Ack{*id_text(), any_integer(0)};
    case 5:
      return Sync{any_position()};
    case 6:
      return Read{any_conversation(), any_integer(0)};
    case 7:
      return Typing{any_conversation(), *rc::gen::arbitrary<bool>()};
    case 8:
      return History{any_conversation(), any_integer(0), any_limit()};
    case 9:
      return ListConversations{*maybe(id_text()), any_limit()};
    case 10:
      return FindConversation{any_conversation()};
    case 11:
      return any_list_members();
    case 12:
      return any_change();
    case 13:
      return Block{any_user(), *rc::gen::arbitrary<bool>()};
    case 14:
      return ListBlocked{};
    case 15:
      return WatchPresence{any_users(1, 30), *rc::gen::arbitrary<bool>()};
    case 16:
      return SetPresence{*rc::gen::arbitrary<bool>()};
    default:
      return any_send();
  }
}

}  // namespace

rc::Gen<std::string> text(std::size_t max) {
  const auto piece = rc::gen::element<std::string>(
      "a", "\"", "\\", "\n", "\x1F", "é", "\xE2\x80\xA8", "😀", "/", " ", "u0000", "\\ud800");
  return rc::gen::map(rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(piece)),
                      [max](const std::vector<std::string>& pieces) {
                        std::string out;
                        for (const std::string& part : pieces) {
                          if (out.size() + part.size() <= max) out += part;
                        }
                        return out.empty() ? std::string("x") : out;
                      });
}

rc::Gen<std::string> id_text() {
  return rc::gen::map(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>('!', '~'))),
      [](std::string id) {
        if (id.size() > kMaxIdBytes) id.resize(kMaxIdBytes);
        return id;
      });
}

rc::Gen<std::string> maybe(rc::Gen<std::string> gen) {
  return rc::gen::oneOf(rc::gen::just(std::string()), std::move(gen));
}

Command any_command() {
  const auto id = *rc::gen::inRange<std::uint32_t>(1, 4294967295U);
  return {id, any_verb()};
}

}  // namespace countersign::protocol
