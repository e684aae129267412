#include "protocol/command.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>

namespace countersign::protocol {
namespace {

namespace json = boost::json;

// Builds the value and, on the way, notes what Boost.JSON would let pass: U+0000 and members that
// occur twice.
class StrictHandler {
 public:
  // NOLINTBEGIN(readability-identifier-naming): Boost.JSON asks for these names.
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();
  // NOLINTEND(readability-identifier-naming)

  StrictHandler() { stack_.reset(); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    names_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t size, json::error_code&) {
    names_.pop_back();
    stack_.push_object(size);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t size, json::error_code&) {
    stack_.push_array(size);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    note_nul(key_);
    const bool is_id = names_.size() == 1 && key_ == "id";
    if (!names_.back().insert(std::move(key_)).second) {
      objectionable_ = true;
      ambiguous_id_ = ambiguous_id_ || is_id;
    }
    key_.clear();
    stack_.push_key(part);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    note_nul({part.data(), part.size()});
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    note_nul({part.data(), part.size()});
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    stack_.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view, json::error_code&) {
    stack_.push_double(number);
    return true;
  }
  bool on_bool(bool truth, json::error_code&) {
    stack_.push_bool(truth);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

  json::value release() { return stack_.release(); }
  /// The text is JSON, but holds something no command may hold.
  bool objectionable() const { return objectionable_; }
  /// `id` itself occurs twice: there is nobody to answer.
  bool ambiguous_id() const { return ambiguous_id_; }

 private:
  void note_nul(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) objectionable_ = true;
  }

  json::value_stack stack_;
  std::vector<std::unordered_set<std::string>> names_;
  std::string key_;
  bool objectionable_ = false;
  bool ambiguous_id_ = false;
};

struct Parsed {
  json::value value;
  bool objectionable = false;
};

std::optional<Parsed> parse(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<StrictHandler> parser(options);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error || used != text.size()) return std::nullopt;
  if (parser.handler().ambiguous_id()) return std::nullopt;
  const bool objectionable = parser.handler().objectionable();
  return Parsed{parser.handler().release(), objectionable};
}

// The value of `\uXXXX` at `at`, or nullopt.
std::optional<unsigned> unicode_escape(std::string_view text, std::size_t at) {
  if (text.size() < at + 6 || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(at + 2, 4)) {
    const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return value;
}

// A lone surrogate makes the whole text unreadable to the parser, but the client still has a right
// to its error reply. So such escapes are replaced, and the text is read once more for its id.
std::string without_lone_surrogates(std::string_view text) {
  constexpr unsigned kHigh = 0xD800, kLow = 0xDC00, kEnd = 0xE000;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto unit = unicode_escape(text, i);
    if (!unit) {
      const std::size_t step = text[i] == '\\' && i + 1 < text.size() ? 2 : 1;
      out.append(text.substr(i, step));
      i += step;
      continue;
    }
    const auto next = *unit >= kHigh && *unit < kLow ? unicode_escape(text, i + 6) : std::nullopt;
    if (next && *next >= kLow && *next < kEnd) {
      out.append(text.substr(i, 12));
      i += 12;
    } else {
      out.append(*unit >= kHigh && *unit < kEnd ? std::string_view("\\uFFFD") : text.substr(i, 6));
      i += 6;
    }
  }
  return out;
}

// Reads members of one verb's body; the first that does not fit spoils the whole.
class BodyReader {
 public:
  explicit BodyReader(const json::object& body) : body_(body) {}

  /// A string of 1 to `max_bytes` bytes; `out` stays empty if the member is absent.
  BodyReader& text(std::string_view name, std::size_t max_bytes, std::string& out) {
    const json::value* value = body_.if_contains(json::string_view(name.data(), name.size()));
    if (value == nullptr) return *this;
    const json::string* text = value->if_string();
    if (text == nullptr || text->empty() || text->size() > max_bytes) {
      good_ = false;
    } else {
      out.assign(text->data(), text->size());
    }
    return *this;
  }

  /// An id: printable ASCII without blank, 1 to 64 bytes.
  BodyReader& id(std::string_view name, std::string& out) {
    text(name, kMaxIdBytes, out);
    const bool clean =
        std::all_of(out.begin(), out.end(), [](char c) { return c > ' ' && c <= '~'; });
    good_ = good_ && clean;
    return *this;
  }

  /// An object, or nullptr if the member is absent.
  const json::object* object(std::string_view name) {
    const json::value* value = body_.if_contains(json::string_view(name.data(), name.size()));
    if (value == nullptr) return nullptr;
    if (!value->is_object()) good_ = false;
    return value->if_object();
  }

  bool good() const { return good_; }

 private:
  const json::object& body_;
  bool good_ = true;
};

using Verb = decltype(Command::verb);
constexpr Refused kMalformed{ErrorCode::kBadRequest};

Verb decode_connect(const json::object& body) {
  Connect connect;
  BodyReader reader(body);
  reader.text("userTicket", kMaxTicketTextBytes, connect.user_ticket)
      .id("instance", connect.instance)
      .text("secret", kMaxIdBytes, connect.secret)
      .id("device", connect.device);
  bool good = true;
  if (const json::object* client = reader.object("client")) {
    BodyReader inner(*client);
    inner.text("name", kMaxIdBytes, connect.client.name)
        .text("version", kMaxIdBytes, connect.client.version);
    good = inner.good();
  }
  const bool has_ticket = !connect.user_ticket.empty();
  const bool has_instance = !connect.instance.empty();
  const bool has_secret = !connect.secret.empty();
  if (!reader.good() || !good || has_instance != has_secret || has_ticket == has_instance) {
    return kMalformed;
  }
  return connect;
}

Verb decode_refresh(const json::object& body) {
  Refresh refresh;
  BodyReader reader(body);
  reader.text("userTicket", kMaxTicketTextBytes, refresh.user_ticket);
  if (!reader.good() || refresh.user_ticket.empty()) return kMalformed;
  return refresh;
}

Verb decode_ping(const json::object&) { return Ping{}; }
Verb decode_terminate(const json::object&) { return Terminate{}; }

struct VerbRow {
  std::string_view name;
  Verb (*decode)(const json::object& body);
};

constexpr VerbRow kVerbs[] = {
    {"connect", decode_connect},
    {"refresh", decode_refresh},
    {"ping", decode_ping},
    {"terminate", decode_terminate},
};

// Exactly one known verb; members nobody knows are ignored beside it, so that clients may be newer
// than the gateway.
Verb decode_verb(const json::object& command) {
  const VerbRow* found = nullptr;
  const json::value* body = nullptr;
  for (const VerbRow& row : kVerbs) {
    const auto* value = command.if_contains(json::string_view(row.name.data(), row.name.size()));
    if (value == nullptr) continue;
    if (found != nullptr) return kMalformed;
    found = &row;
    body = value;
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
  std::optional<Parsed> parsed = parse(object);
  if (!parsed) {
    const std::string repaired = without_lone_surrogates(object);
    if (repaired != object) parsed = parse(repaired);
    if (parsed) parsed->objectionable = true;
  }
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
