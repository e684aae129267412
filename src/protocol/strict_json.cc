#include "protocol/strict_json.h"

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>

#include "protocol/command.h"

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

std::optional<StrictJson> parse(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<StrictHandler> parser(options);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error || used != text.size()) return std::nullopt;
  if (parser.handler().ambiguous_id()) return std::nullopt;
  const bool objectionable = parser.handler().objectionable();
  return StrictJson{parser.handler().release(), objectionable};
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

}  // namespace

std::optional<StrictJson> read_strict_json(std::string_view text) {
  std::optional<StrictJson> parsed = parse(text);
  if (parsed) return parsed;
  const std::string repaired = without_lone_surrogates(text);
  if (repaired != text) parsed = parse(repaired);
  if (parsed) parsed->objectionable = true;
  return parsed;
}

}  // namespace countersign::protocol
