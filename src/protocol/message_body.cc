#include "protocol/message_body.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/unicode.h"
#include "protocol/body_reader.h"
#include "protocol/json_members.h"

namespace countersign::protocol {
namespace {

namespace json = boost::json;

using Header = std::pair<std::string_view, std::string_view>;

// Begins the next member of the body.
void begin_member(std::string& out, std::string_view name) {
  if (!out.empty()) out += ',';
  out.append("\"").append(name).append("\":");
}

void read_text(BodyReader& reader, const json::object& send, std::string& out) {
  const json::value* value = send.if_contains("text");
  if (value == nullptr) return;
  const json::string* text = value->if_string();
  if (text == nullptr) {
    reader.refuse(ErrorCode::kBadRequest);
  } else if (text->size() > kMaxTextBytes) {
    reader.refuse(ErrorCode::kMessageTooLarge);
  } else if (!text->empty()) {
    begin_member(out, "text");
    base::append_json_string(out, view(*text));
  }
}

// The fault of one header, if it has one.
std::optional<ErrorCode> header_fault(const Header& header) {
  const auto& [name, value] = header;
  if (name.empty() || has_control(name) || has_control(value)) return ErrorCode::kBadRequest;
  const std::optional<std::size_t> characters = base::count_code_points(name);
  if (!characters) return ErrorCode::kBadRequest;
  if (*characters > kMaxHeaderNameCharacters || value.size() > kMaxHeaderValueBytes) {
    return ErrorCode::kMessageTooLarge;
  }
  return std::nullopt;
}

void read_headers(BodyReader& reader, std::string& out) {
  const json::object* given = reader.object("headers");
  if (given == nullptr || given->empty()) return;
  if (given->size() > kMaxHeaders) {
    reader.refuse(ErrorCode::kLimitExceeded);
    return;
  }
  std::vector<Header> headers;
  std::size_t bytes = 0;
  for (const json::key_value_pair& member : *given) {
    const json::string* value = member.value().if_string();
    reader.require(value != nullptr);
    if (value == nullptr) return;
    headers.emplace_back(std::string_view(member.key().data(), member.key().size()), view(*value));
    if (const auto fault = header_fault(headers.back())) reader.refuse(*fault);
    bytes += member.key().size() + value->size();
  }
  if (bytes > kMaxHeadersBytes) reader.refuse(ErrorCode::kMessageTooLarge);
  if (reader.fault()) return;
  std::sort(headers.begin(), headers.end());
  begin_member(out, "headers");
  for (const Header& header : headers) {
    out += &header == headers.data() ? '{' : ',';
    base::append_json_string(out, header.first);
    out += ':';
    base::append_json_string(out, header.second);
  }
  out += '}';
}

// What a browser's URL.href gives for http and https: ASCII, scheme in lower case, a host.
bool is_web_address(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme) || url.size() == scheme.size()) continue;
    const char host = url[scheme.size()];
    return host != '/' && host != '?' && host != '#' &&
           std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c <= '~'; });
  }
  return false;
}

void read_attachment(BodyReader& reader, const json::value& value, std::string& out) {
  if (!value.is_object()) {
    reader.refuse(ErrorCode::kBadRequest);
    return;
  }
  BodyReader inner(value.get_object());
  std::string url, name, type;
  std::int64_t size = -1;
  inner.text("url", kMaxUrlBytes, url, ErrorCode::kMessageTooLarge)
      .visible("name", kMaxAttachmentNameBytes, name)
      .visible("type", kMaxAttachmentTypeBytes, type)
      .integer("size", 0, kMaxInteger, size)
      .require(is_web_address(url));
  reader.take_fault(inner);
  if (reader.fault()) return;
  out += '{';
  append_first_text(out, "url", url);
  if (!name.empty()) append_text(out, "name", name);
  if (!type.empty()) append_text(out, "type", type);
  if (size >= 0) append_number(out, "size", size);
  out += '}';
}

void read_attachments(BodyReader& reader, std::string& out) {
  const json::array* given = reader.array("attachments", kMaxAttachments);
  if (given == nullptr || given->empty()) return;
  begin_member(out, "attachments");
  for (const json::value& attachment : *given) {
    out += &attachment == given->data() ? '[' : ',';
    read_attachment(reader, attachment, out);
  }
  out += ']';
}

}  // namespace

Result<std::string> write_message_body(const json::object& send) {
  BodyReader reader(send);
  std::string out;
  read_text(reader, send, out);
  bool content = !out.empty();
  read_headers(reader, out);
  const std::size_t before = out.size();
  read_attachments(reader, out);
  content = content || out.size() > before;
  reader.require(content);
  if (out.size() > kMaxBodyBytes) reader.refuse(ErrorCode::kMessageTooLarge);
  if (const auto fault = reader.fault()) return fail(*fault, "message body");
  return out;
}

}  // namespace countersign::protocol
