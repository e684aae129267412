#include "web/form_body.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>

#include "base/unicode.h"

namespace countersign::web {
namespace {

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

/// UTF-8 without U+0000. One record with a NUL would fail the whole batch in the store.
bool is_text(std::string_view text) {
  return text.find('\0') == std::string_view::npos && base::count_code_points(text).has_value();
}

/// One name or value with its escapes undone; false if it is malformed.
bool decode_component(std::string_view encoded, std::string& out) {
  out.clear();
  out.reserve(encoded.size());  // never grows: no copy of a password is left behind
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '+') {
      out += ' ';
    } else if (encoded[i] != '%') {
      out += encoded[i];
    } else {
      if (i + 2 >= encoded.size()) return false;
      const auto high = hex_digit(encoded[i + 1]);
      const auto low = hex_digit(encoded[i + 2]);
      if (!high || !low) return false;
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    }
  }
  return is_text(out);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : static_cast<char>(c);
  });
  return out;
}

/// Collects the members of one flat object; everything else stops the parser.
struct FlatObjectHandler {
  // NOLINTBEGIN(readability-identifier-naming): Boost.JSON asks for these names.
  static constexpr std::size_t max_object_size = kMaxFields;
  static constexpr std::size_t max_array_size = 1;
  static constexpr std::size_t max_key_size = 256;
  static constexpr std::size_t max_string_size = 64 * 1024;
  // NOLINTEND(readability-identifier-naming)

  Fields fields;
  std::string key;
  std::string value;

  using Code = boost::json::error_code;
  using Text = boost::json::string_view;

  static bool refuse(Code& ec) {
    ec = boost::json::error::syntax;
    return false;
  }
  static bool append(std::string& to, Text part) {
    to.append(part.data(), part.size());
    return true;
  }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return true; }
  bool on_object_end(std::size_t, Code&) { return true; }
  bool on_array_begin(Code& ec) { return refuse(ec); }
  bool on_array_end(std::size_t, Code& ec) { return refuse(ec); }
  bool on_key_part(Text part, std::size_t, Code&) { return append(key, part); }
  bool on_key(Text part, std::size_t, Code&) { return append(key, part); }
  bool on_string_part(Text part, std::size_t, Code&) { return append(value, part); }
  bool on_string(Text part, std::size_t, Code& ec) {
    append(value, part);
    const bool good = is_text(key) && is_text(value) && fields.add(std::move(key), value);
    key.clear();
    base::wipe(value);
    return good || refuse(ec);
  }
  bool on_number_part(Text, Code& ec) { return refuse(ec); }
  bool on_int64(std::int64_t, Text, Code& ec) { return refuse(ec); }
  bool on_uint64(std::uint64_t, Text, Code& ec) { return refuse(ec); }
  bool on_double(double, Text, Code& ec) { return refuse(ec); }
  bool on_bool(bool, Code& ec) { return refuse(ec); }
  bool on_null(Code& ec) { return refuse(ec); }
  bool on_comment_part(Text, Code& ec) { return refuse(ec); }
  bool on_comment(Text, Code& ec) { return refuse(ec); }
};

}  // namespace

Fields& Fields::operator=(Fields&& other) noexcept {
  if (this != &other) {
    clear();
    fields_ = std::move(other.fields_);
  }
  return *this;
}

Fields::~Fields() { clear(); }

void Fields::clear() {
  for (Field& field : fields_) base::wipe(field.value);
  fields_.clear();
}

bool Fields::add(std::string name, std::string value) {
  if (fields_.empty()) fields_.reserve(kMaxFields);  // so that values are never moved about
  if (fields_.size() >= kMaxFields || has(name)) {
    base::wipe(value);
    return false;
  }
  fields_.push_back(Field{std::move(name), std::move(value)});
  return true;
}

const Fields::Field* Fields::find(std::string_view name) const {
  const auto at = std::find_if(fields_.begin(), fields_.end(),
                               [name](const Field& field) { return field.name == name; });
  return at == fields_.end() ? nullptr : &*at;
}

std::string_view Fields::get(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr ? std::string_view() : std::string_view(field->value);
}

Result<Fields> decode_form(std::string_view body) {
  Fields fields;
  while (!body.empty()) {
    const std::size_t end = body.find('&');
    const std::string_view pair = body.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return fail(ErrorCode::kBadRequest, "form: a field without name or value");
    }
    std::string name;
    std::string value;
    if (!decode_component(pair.substr(0, equals), name) ||
        !decode_component(pair.substr(equals + 1), value)) {
      base::wipe(value);
      return fail(ErrorCode::kBadRequest, "form: a malformed escape, NUL or bad UTF-8");
    }
    if (!fields.add(std::move(name), std::move(value))) {
      return fail(ErrorCode::kBadRequest, "form: a field twice, or too many");
    }
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 1);
    if (body.empty()) return fail(ErrorCode::kBadRequest, "form: ends with &");
  }
  return fields;
}

Result<Fields> decode_json_fields(std::string_view body) {
  boost::json::parse_options options;
  options.max_depth = 1;
  boost::json::basic_parser<FlatObjectHandler> parser(options);
  boost::json::error_code ec;
  const std::size_t used = parser.write_some(false, body.data(), body.size(), ec);
  const bool blank_rest = std::all_of(body.begin() + static_cast<std::ptrdiff_t>(used), body.end(),
                                      [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
  base::wipe(parser.handler().value);
  // A document that is not an object ends without on_object_begin: its first byte tells.
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  if (ec || !parser.done() || !blank_rest || first == std::string_view::npos ||
      body[first] != '{') {
    return fail(ErrorCode::kBadRequest, "json: not one flat object of strings");
  }
  return std::move(parser.handler().fields);
}

Result<BodyType> body_type(const net::Request& request) {
  const std::size_t count = request.count("content-type");
  if (count == 0 && request.body.empty()) return BodyType::kNone;
  if (count != 1) return fail(ErrorCode::kUnsupportedMediaType, "content-type: none or several");
  const std::string_view sent = request.header("content-type");
  if (sent == "application/json") return BodyType::kJson;  // what the SDK sends
  std::string type = lower(sent);
  type.erase(std::remove_if(type.begin(), type.end(), [](char c) { return c == ' ' || c == '\t'; }),
             type.end());
  const std::size_t semicolon = type.find(';');
  if (semicolon != std::string::npos) {
    const std::string_view parameter = std::string_view(type).substr(semicolon + 1);
    if (parameter != "charset=utf-8" && parameter != "charset=\"utf-8\"") {
      return fail(ErrorCode::kUnsupportedMediaType, "content-type: an unknown parameter");
    }
    type.resize(semicolon);
  }
  if (type == "application/json") return BodyType::kJson;
  if (type == "application/x-www-form-urlencoded") return BodyType::kForm;
  return fail(ErrorCode::kUnsupportedMediaType, "content-type: neither form nor JSON");
}

Result<Fields> read_fields(BodyType type, std::string_view body) {
  if (body.empty()) return Fields();  // `fetch` without a body may still name a type
  switch (type) {
    case BodyType::kForm:
      return decode_form(body);
    case BodyType::kJson:
      return decode_json_fields(body);
    case BodyType::kNone:
      break;
  }
  return Fields();
}

}  // namespace countersign::web
