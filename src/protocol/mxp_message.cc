#include "protocol/mxp_message.h"

#include <algorithm>
#include <utility>

#include "base/json_text.h"
#include "protocol/body_reader.h"
#include "protocol/json_members.h"
#include "protocol/message_body.h"
#include "protocol/strict_json.h"

namespace countersign::protocol {
namespace {

namespace json = boost::json;

// The SDK's message format.
constexpr std::int64_t kVersion = 10;
constexpr std::int64_t kMaxCode = 99;
// What a frame's few short members may have at most.
constexpr std::size_t kMaxMemberBytes = 512;
constexpr std::string_view kRawHeaders = "ph";

auto bad(std::string_view what) { return fail(ErrorCode::kBadRequest, std::string(what)); }

// The object that the text is; nothing if it is anything else, or not clean.
std::optional<json::object> read_object(std::string_view text) {
  auto read = read_strict_json(text);
  if (!read || read->objectionable || !read->value.is_object()) return std::nullopt;
  return std::move(read->value.get_object());
}

// A string member; `out` stays as it is when it is absent or null.
bool read_text(const json::object& object, std::string_view name, std::size_t max_bytes,
               std::string& out) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return true;
  const json::string* text = value->if_string();
  if (text == nullptr || text->size() > max_bytes) return false;
  out.assign(text->data(), text->size());
  return true;
}

bool read_number(const json::object& object, std::string_view name, std::int64_t max,
                 std::int64_t& out) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_int64()) return false;
  out = value->get_int64();
  return out >= 0 && out <= max;
}

// Whether all members are strings and at least one is there.
bool is_texts(const json::object& object) {
  return !object.empty() &&
         std::all_of(object.begin(), object.end(),
                     [](const json::key_value_pair& member) { return member.value().is_string(); });
}

// The headers of a message from the one string that the SDK has for them.
json::object headers_of(const std::string& text) {
  if (auto object = read_object(text); object && is_texts(*object)) {
    // One member of our own making would be undone as what it is not.
    const bool ours = object->size() == 1 && object->contains(kRawHeaders);
    json::object send;
    send["text"] = "-";
    send["headers"] = *object;
    if (!ours && write_message_body(send)) return *std::move(object);
  }
  json::object raw;
  raw[kRawHeaders] = text;
  return raw;
}

// The one string for the headers of a message.
std::optional<std::string> text_of(const json::object& headers) {
  if (headers.empty()) return std::nullopt;
  if (headers.size() == 1 && headers.contains(kRawHeaders)) {
    const auto& raw = headers.at(kRawHeaders).as_string();
    return std::string(raw.data(), raw.size());
  }
  std::string out;
  for (const json::key_value_pair& header : headers) {
    out += out.empty() ? '{' : ',';
    base::append_json_string(out, {header.key().data(), header.key().size()});
    out += ':';
    base::append_json_string(out, view(header.value().get_string()));
  }
  return out + "}";
}

void append_addresses(const json::array& attachments, std::string& text) {
  for (const json::value& attachment : attachments) {
    if (!attachment.is_object()) continue;
    std::string url;
    if (!read_text(attachment.get_object(), "url", kMaxUrlBytes, url) || url.empty()) continue;
    if (!text.empty()) text += '\n';
    text += url;
  }
}

}  // namespace

Result<MxpMessage> decode_mxp_message(std::string_view text) {
  const auto object = read_object(text);
  if (!object) return bad("MXP: not JSON");
  MxpMessage message;
  std::int64_t code = 0, version = 0;
  const bool fits = read_number(*object, "md", kMaxCode, code) &&
                    read_number(*object, "bv", kMaxCode, version) &&
                    read_text(*object, "bt", kMaxMemberBytes, message.type) &&
                    read_text(*object, "bd", kMaxBodyBytes, message.body) &&
                    read_text(*object, "fu", kMaxMemberBytes, message.user) &&
                    read_text(*object, "fi", kMaxMemberBytes, message.instance) &&
                    read_text(*object, "fd", kMaxMemberBytes, message.device) &&
                    read_text(*object, "fs", kMaxMemberBytes, message.channel);
  if (!fits || object->contains("fsi")) return bad("MXP: members");
  message.code = static_cast<std::uint32_t>(code);
  const json::value* values = object->if_contains("nvps");
  if (values == nullptr || values->is_null()) return message;
  if (!values->is_object() || values->get_object().contains("fsi")) return bad("MXP: nvps");
  const json::object& named = values->get_object();
  if (const json::value* headers = named.if_contains("ph"); headers && !headers->is_null()) {
    std::string given;
    if (!read_text(named, "ph", kMaxBodyBytes, given)) return bad("MXP: headers");
    message.headers = std::move(given);
  }
  return message;
}

std::string encode_mxp_message(const MxpMessage& message) {
  std::string out = "{";
  if (!message.body.empty()) {
    append_first_text(out, "bd", message.body);
    out += ',';
  }
  if (message.headers) {
    out += "\"nvps\":{";
    append_first_text(out, "ph", *message.headers);
    out += "},";
  }
  out.append("\"md\":").append(std::to_string(message.code));
  append_text(out, "bt", message.type);
  append_number(out, "bv", kVersion);
  append_text(out, "fu", message.user);
  append_text(out, "fi", message.instance);
  append_text(out, "fd", message.device);
  append_text(out, "fc", "");
  append_text(out, "fs", message.channel);
  return out + "}";
}

Result<std::string> body_of_mxp_text(std::string_view bd,
                                     const std::optional<std::string>& headers) {
  const auto object = read_object(bd);
  const json::value* text = object ? object->if_contains("t") : nullptr;
  if (text == nullptr || !text->is_string()) return bad("MXP: body of a message");
  json::object send;
  send["text"] = text->get_string();
  if (headers && !headers->empty()) send["headers"] = headers_of(*headers);
  return write_message_body(send);
}

Result<MxpText> mxp_text_of_body(std::string_view body) {
  const auto object = read_object("{" + std::string(body) + "}");
  std::string text;
  if (!object || !read_text(*object, "text", kMaxBodyBytes, text)) return bad("body of a text");
  if (const json::value* list = object->if_contains("attachments"); list && list->is_array()) {
    append_addresses(list->get_array(), text);
  }
  MxpText out;
  out.bd = "{\"t\":";
  base::append_json_string(out.bd, text);
  out.bd += '}';
  const json::value* headers = object->if_contains("headers");
  if (headers != nullptr && headers->is_object() && is_texts(headers->get_object())) {
    out.headers = text_of(headers->get_object());
  }
  return out;
}

std::optional<ErrorCode> error_of_reply(std::string_view reply) {
  const auto object = read_object(reply);
  if (!object) return ErrorCode::kInternal;
  const json::value* error = object->if_contains("error");
  if (error == nullptr) return std::nullopt;
  std::int64_t code = 0;
  if (!error->is_object() || !read_number(error->get_object(), "code", 999, code)) {
    return ErrorCode::kInternal;
  }
  return static_cast<ErrorCode>(code);
}

std::optional<ReceiptsPush> read_receipts_push(std::string_view push) {
  const auto object = read_object(push);
  const json::value* outer = object ? object->if_contains("push") : nullptr;
  const json::value* inner = outer != nullptr && outer->is_object()
                                 ? outer->get_object().if_contains("receipts")
                                 : nullptr;
  if (inner == nullptr || !inner->is_object()) return std::nullopt;
  BodyReader reader(inner->get_object());
  ReceiptsPush receipt;
  reader.id("conv", receipt.conversation)
      .identity("user", receipt.user)
      .integer("delivered", 0, kMaxInteger, receipt.delivered)
      .require(reader.has("user") && reader.has("delivered") && !receipt.conversation.empty());
  if (reader.fault()) return std::nullopt;
  return receipt;
}

}  // namespace countersign::protocol
