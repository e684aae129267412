#include "protocol/command.h"

#include <algorithm>
#include <span>

#include "protocol/body_reader.h"
#include "protocol/messaging_verbs.h"
#include "protocol/strict_json.h"

namespace countersign::protocol {
namespace {

namespace json = boost::json;

constexpr Refused kMalformed{ErrorCode::kBadRequest};
constexpr std::string_view kMessaging = "messaging";

// Whether `caps` names what this gateway can do for the client; names it does not know pass.
bool read_capabilities(BodyReader& reader) {
  const json::array* names = reader.array("caps", kMaxCapabilities);
  if (names == nullptr) return false;
  bool messaging = false;
  for (const json::value& name : *names) {
    const json::string* text = name.if_string();
    if (text == nullptr) {
      reader.refuse(ErrorCode::kBadRequest);
      return false;
    }
    messaging = messaging || view(*text) == kMessaging;
  }
  return messaging;
}

Verb decode_connect(const json::object& body) {
  Connect connect;
  BodyReader reader(body);
  reader.text("userTicket", kMaxTicketTextBytes, connect.user_ticket)
      .id("instance", connect.instance)
      .text("secret", kMaxIdBytes, connect.secret)
      .id("device", connect.device);
  if (const json::object* client = reader.object("client")) {
    BodyReader inner(*client);
    inner.text("name", kMaxIdBytes, connect.client.name)
        .text("version", kMaxIdBytes, connect.client.version);
    reader.take_fault(inner);
  }
  connect.messaging = read_capabilities(reader);
  if (const json::object* resume = reader.object("resume")) {
    BodyReader inner(*resume);
    inner.position(connect.resume.emplace());
    reader.take_fault(inner);
  }
  const bool has_ticket = !connect.user_ticket.empty();
  const bool has_instance = !connect.instance.empty();
  const bool has_secret = !connect.secret.empty();
  reader.require(has_instance == has_secret && has_ticket != has_instance);
  if (const auto fault = reader.fault()) return Refused{*fault};
  return connect;
}

Verb decode_refresh(const json::object& body) {
  Refresh refresh;
  BodyReader reader(body);
  reader.text("userTicket", kMaxTicketTextBytes, refresh.user_ticket);
  reader.require(!refresh.user_ticket.empty());
  if (const auto fault = reader.fault()) return Refused{*fault};
  return refresh;
}

Verb decode_ping(const json::object&) { return Ping{}; }
Verb decode_terminate(const json::object&) { return Terminate{}; }

constexpr VerbRow kVerbs[] = {
    {"connect", decode_connect},
    {"refresh", decode_refresh},
    {"ping", decode_ping},
    {"terminate", decode_terminate},
};

const VerbRow* find_row(std::string_view name) {
  for (const std::span<const VerbRow> rows :
       {std::span<const VerbRow>(kVerbs), messaging_verbs()}) {
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [name](const VerbRow& each) { return each.name == name; });
    if (row != rows.end()) return &*row;
  }
  return nullptr;
}

// Exactly one known verb; members nobody knows are ignored beside it, so that clients may be newer
// than the gateway.
Verb decode_verb(const json::object& command) {
  const VerbRow* found = nullptr;
  const json::value* body = nullptr;
  for (const json::key_value_pair& member : command) {
    const VerbRow* row = find_row({member.key().data(), member.key().size()});
    if (row == nullptr) continue;
    if (found != nullptr) return kMalformed;
    found = row;
    body = &member.value();
  }
  if (found == nullptr) {
    return Refused{command.size() > 1 ? ErrorCode::kUnknownVerb : ErrorCode::kBadRequest};
  }
  if (!body->is_object()) return kMalformed;
  return found->decode(body->get_object());
}

std::optional<std::uint32_t> decode_id(const json::object& command) {
  const json::value* value = command.if_contains("id");
  if (value == nullptr) return std::nullopt;
  json::error_code error;
  const auto id = value->is_double() ? 0 : value->to_number<std::uint32_t>(error);
  if (error || id == 0) return std::nullopt;
  return id;
}

}  // namespace

Result<ClientMessage> decode_message(std::string_view object) {
  const std::optional<StrictJson> parsed = read_strict_json(object);
  if (!parsed || !parsed->value.is_object()) {
    return fail(ErrorCode::kBadRequest, "frame holds no JSON object");
  }
  const json::object& command = parsed->value.get_object();
  if (command.empty()) return Pong{};
  const auto id = decode_id(command);
  if (!id) return fail(ErrorCode::kBadRequest, "command without an id");
  if (parsed->objectionable) return Command{*id, kMalformed};
  return Command{*id, decode_verb(command)};
}

std::optional<Result<ClientMessage>> FrameReader::next() {
  if (!rest_) return std::nullopt;
  const std::size_t end = rest_->find('\n');
  const std::string_view object = rest_->substr(0, end);
  if (end == std::string_view::npos) {
    rest_.reset();
  } else {
    rest_->remove_prefix(end + 1);
  }
  auto message = decode_message(object);
  if (!message) rest_.reset();
  return message;
}

}  // namespace countersign::protocol
