#include "protocol/body_reader.h"

#include <algorithm>
#include <utility>

#include "base/unicode.h"
#include "protocol/command.h"

namespace countersign::protocol {
namespace {

namespace json = boost::json;

// Whole numbers only: 1.0 and 1e3 are refused as much as 1.5.
std::optional<std::int64_t> whole_number(const json::value& value) {
  if (const std::int64_t* number = value.if_int64()) return *number;
  return std::nullopt;  // what only fits uint64 is beyond every bound
}

// The rules of ticket identities, so that everybody who can sign in can be named, and nobody else.
std::optional<Identity> read_identity(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return std::nullopt;
  const json::value* type = object->if_contains("type");
  const json::value* endpoint = object->if_contains("endpoint");
  if (type == nullptr || endpoint == nullptr || !type->is_string() || !endpoint->is_string()) {
    return std::nullopt;
  }
  const auto known = parse_identity_type(view(type->get_string()));
  if (!known) return std::nullopt;
  Identity identity{*known, std::string(view(endpoint->get_string()))};
  if (!validate_identity(identity, UserNameRule::kUtf8)) return std::nullopt;
  return identity;
}

// 16 digits of lower-case hexadecimal, as the gateway writes them.
std::optional<std::string> read_chain(std::string_view text) {
  if (text.size() != 2 * kChainBytes) return std::nullopt;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string chain;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = kDigits.find(text[i]);
    const std::size_t low = kDigits.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    chain.push_back(static_cast<char>(high << 4 | low));
  }
  return chain;
}

}  // namespace

bool has_control(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) <= 0x9F) {
      return true;  // U+0080 to U+009F
    }
  }
  return false;
}

BodyReader& BodyReader::text(std::string_view name, std::size_t max_bytes, std::string& out,
                             ErrorCode too_long) {
  const json::value* value = find(name);
  if (value == nullptr) return *this;
  const json::string* text = value->if_string();
  if (text == nullptr || text->empty()) return refuse(ErrorCode::kBadRequest);
  if (text->size() > max_bytes) return refuse(too_long);
  out.assign(text->data(), text->size());
  return *this;
}

BodyReader& BodyReader::id(std::string_view name, std::string& out, std::size_t max_bytes) {
  text(name, max_bytes, out);
  return require(std::all_of(out.begin(), out.end(), [](char c) { return c > ' ' && c <= '~'; }));
}

BodyReader& BodyReader::id(std::string_view name, std::string& out) {
  return id(name, out, kMaxIdBytes);
}

BodyReader& BodyReader::visible(std::string_view name, std::size_t max_bytes, std::string& out) {
  std::string given;
  text(name, max_bytes, given, ErrorCode::kMessageTooLarge);
  if (given.empty()) return *this;
  std::optional<std::string> normal = base::to_nfc(given);
  if (!normal || has_control(*normal)) return refuse(ErrorCode::kBadRequest);
  if (normal->size() > max_bytes) return refuse(ErrorCode::kMessageTooLarge);
  out = *std::move(normal);
  return *this;
}

BodyReader& BodyReader::integer(std::string_view name, std::int64_t min, std::int64_t max,
                                std::int64_t& out) {
  const json::value* value = find(name);
  if (value == nullptr) return *this;
  const std::optional<std::int64_t> number = whole_number(*value);
  if (!number || *number < min || *number > max) return refuse(ErrorCode::kBadRequest);
  out = *number;
  return *this;
}

BodyReader& BodyReader::limit(std::size_t& out) {
  auto number = static_cast<std::int64_t>(out);
  integer("limit", 1, kMaxInteger, number);
  if (number > static_cast<std::int64_t>(kMaxPage)) return refuse(ErrorCode::kLimitExceeded);
  out = static_cast<std::size_t>(number);
  return *this;
}

BodyReader& BodyReader::identity(std::string_view name, Identity& out) {
  const json::value* value = find(name);
  if (value == nullptr) return *this;
  std::optional<Identity> identity = read_identity(*value);
  if (!identity) return refuse(ErrorCode::kBadRequest);
  out = *std::move(identity);
  return *this;
}

BodyReader& BodyReader::identity(std::string_view name, std::optional<Identity>& out) {
  return has(name) ? identity(name, out.emplace()) : *this;
}

BodyReader& BodyReader::identities(std::string_view name, std::size_t max,
                                   std::vector<Identity>& out) {
  const json::array* users = array(name, max);
  if (users == nullptr) return *this;
  out.reserve(users->size());
  for (const json::value& user : *users) {
    std::optional<Identity> identity = read_identity(user);
    if (!identity) return refuse(ErrorCode::kBadRequest);
    out.push_back(*std::move(identity));
  }
  std::sort(out.begin(), out.end(), ordered_before);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return *this;
}

BodyReader& BodyReader::conversation(ConversationName& out) {
  require(has("conv") != has("to"));
  id("conv", out.id);
  identities("to", kMaxRecipients, out.users);
  return require(out.id.empty() != out.users.empty());
}

BodyReader& BodyReader::position(ClientPosition& out) {
  std::string chain;
  id("epoch", out.epoch).integer("offset", 0, kMaxInteger, out.offset).id("chain", chain);
  std::optional<std::string> raw = read_chain(chain);
  if (out.epoch.empty() || !has("offset") || !raw) return refuse(ErrorCode::kBadRequest);
  out.chain = *std::move(raw);
  return *this;
}

const json::object* BodyReader::object(std::string_view name) {
  const json::value* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) refuse(ErrorCode::kBadRequest);
  return value->if_object();
}

const json::array* BodyReader::array(std::string_view name, std::size_t max) {
  const json::value* value = find(name);
  if (value == nullptr) return nullptr;
  const json::array* list = value->if_array();
  if (list == nullptr) {
    refuse(ErrorCode::kBadRequest);
  } else if (list->size() > max) {
    refuse(ErrorCode::kLimitExceeded);
    return nullptr;
  }
  return list;
}

BodyReader& BodyReader::require(bool truth) {
  return truth ? *this : refuse(ErrorCode::kBadRequest);
}

BodyReader& BodyReader::refuse(ErrorCode fault) {
  if (!fault_) fault_ = fault;
  return *this;
}

BodyReader& BodyReader::take_fault(const BodyReader& inner) {
  return inner.fault_ ? refuse(*inner.fault_) : *this;
}

}  // namespace countersign::protocol
