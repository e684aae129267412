#include "protocol/client_messages.h"

#include <cassert>
#include <span>

#include "base/encoding.h"
#include "base/json_text.h"
#include "protocol/inbox_messages.h"
#include "protocol/json_members.h"

namespace countersign::protocol {
namespace {

// Appends members to an object, leaving out the empty ones.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

  ObjectWriter& text(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    this->name(name);
    base::append_json_string(out_, value);
    return *this;
  }
  ObjectWriter& number(std::string_view name, std::int64_t value) {
    this->name(name);
    out_ += std::to_string(value);
    return *this;
  }
  ObjectWriter& user(std::string_view name, const Identity& user) {
    this->name(name);
    append_identity_object(out_, user);
    return *this;
  }
  ObjectWriter& users(std::string_view name, std::span<const Identity> users) {
    if (users.empty()) return *this;
    this->name(name);
    append_identity_list(out_, users);
    return *this;
  }
  ObjectWriter& conversation(const ConversationName& name) {
    return text("conv", name.id).users("to", name.users);
  }
  ObjectWriter& position(const ClientPosition& position) {
    return text("epoch", position.epoch)
        .number("offset", position.offset)
        .text("chain", base::hex_encode(base::as_bytes(position.chain)));
  }
  /// Members that are JSON already.
  ObjectWriter& members(std::string_view members) {
    separate();
    out_ += members;
    return *this;
  }
  ObjectWriter& name(std::string_view name) {
    separate();
    base::append_json_string(out_, name);
    out_ += ':';
    return *this;
  }
  void end() { out_ += '}'; }

 private:
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }

  std::string& out_;
  bool first_ = true;
};

struct VerbEncoder {
  std::string& out;

  ObjectWriter body(std::string_view verb) const {
    out.append("\"").append(verb).append("\":");
    return ObjectWriter(out);
  }

  void operator()(const Ping&) const { body("ping").end(); }
  void operator()(const Terminate&) const { body("terminate").end(); }
  void operator()(const Refresh& refresh) const {
    body("refresh").text("userTicket", refresh.user_ticket).end();
  }
  void operator()(const Connect& connect) const {
    ObjectWriter body = this->body("connect");
    body.text("userTicket", connect.user_ticket)
        .text("instance", connect.instance)
        .text("secret", connect.secret)
        .text("device", connect.device)
        .name("client");
    ObjectWriter(out)
        .text("name", connect.client.name)
        .text("version", connect.client.version)
        .end();
    if (connect.messaging) body.members("\"caps\":[\"messaging\"]");
    if (connect.resume) {
      body.name("resume");
      ObjectWriter(out).position(*connect.resume).end();
    }
    body.end();
  }
  void operator()(const Refused&) const { assert(!"a refused command has no wire form"); }

  void operator()(const Send& send) const {
    ObjectWriter body = this->body("send");
    body.text("msg_id", send.msg_id).conversation(send.to).members(send.body);
    if (send.expires_in) body.number("expires_in", send.expires_in->count());
    body.end();
  }
  void operator()(const Ack& ack) const {
    body("ack").text("epoch", ack.epoch).number("offset", ack.offset).end();
  }
  void operator()(const Sync& sync) const { body("sync").position(sync.position).end(); }
  void operator()(const Read& read) const {
    body("read").conversation(read.conversation).number("seq", read.seq).end();
  }
  void operator()(const Typing& typing) const {
    body("typing")
        .conversation(typing.conversation)
        .text("state", typing.start ? "start" : "stop")
        .end();
  }
  void operator()(const History& history) const {
    ObjectWriter body = this->body("history");
    body.conversation(history.conversation);
    if (history.before != 0) body.number("before", history.before);
    body.number("limit", static_cast<std::int64_t>(history.limit)).end();
  }
  void operator()(const ListConversations& list) const {
    body("conversations")
        .text("after", list.after)
        .number("limit", static_cast<std::int64_t>(list.limit))
        .end();
  }
  void operator()(const FindConversation& find) const {
    body("conversation").conversation(find.conversation).end();
  }
  void operator()(const ListMembers& list) const {
    ObjectWriter body = this->body("members");
    body.conversation(list.conversation);
    if (list.after) body.user("after", *list.after);
    body.number("limit", static_cast<std::int64_t>(list.limit)).end();
  }
  void operator()(const ChangeGroup& change) const {
    body("group")
        .text("msg_id", change.msg_id)
        .text("conv", change.conversation)
        .text("action", action_name(change.action))
        .text("name", change.name)
        .users("users", change.users)
        .end();
  }
  void operator()(const Block& block) const {
    body(block.blocked ? "block" : "unblock").user("user", block.user).end();
  }
  void operator()(const ListBlocked&) const { body("blocked").end(); }
  void operator()(const WatchPresence& watch) const {
    body(watch.watch ? "presence.watch" : "presence.unwatch").users("users", watch.users).end();
  }
  void operator()(const SetPresence& set) const {
    body("presence.set").text("state", set.away ? "away" : "online").end();
  }
};

}  // namespace

std::string encode_command(const Command& command) {
  std::string out = "{\"id\":";
  out.append(std::to_string(command.id)).append(",");
  std::visit(VerbEncoder{out}, command.verb);
  out.append("}");
  return out;
}

}  // namespace countersign::protocol
