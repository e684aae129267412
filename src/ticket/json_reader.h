// A strict JSON reader for untrusted ticket payloads. RFC 8259 and nothing more lenient: valid
// UTF-8 without byte order mark, no lone surrogate escapes, no raw control characters, nothing
// after the value, at most 32 levels. It also finds duplicate members at every depth, compared
// after unescaping, which general readers do not: a payload that two readers understand differently
// is how a signed ticket changes its owner.
//
// The result is a flat list of nodes in document order. Numbers stay text. Memory is a small
// multiple of the input, and none is allocated for a payload of ordinary size without escapes.
// Thread-safety: one document per thread; const access is thread-safe after parse().
// Source: RFC 8259, RFC 3629; docs/reference/ticket-format.md, "Verifying", steps 5 and 6.
#ifndef COUNTERSIGN_TICKET_JSON_READER_H_
#define COUNTERSIGN_TICKET_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "countersign/codes.h"

namespace countersign {

enum class JsonType : std::uint8_t { kNull, kTrue, kFalse, kNumber, kString, kArray, kObject };

struct JsonNode {
  std::string_view name;  ///< the member's name, unescaped; empty outside objects
  std::string_view text;  ///< a string unescaped, or a number as written; else empty
  std::uint32_t end = 0;  ///< index one past the last node inside this one
  JsonType type = JsonType::kNull;
};

class JsonDocument {
 public:
  /// The deepest nesting of arrays and objects.
  static constexpr std::size_t kMaxDepth = 32;

  // The memory for the first nodes is left as it is; parse() makes them one by one.
  JsonDocument() noexcept : nodes_(reinterpret_cast<JsonNode*>(inline_storage_)) {}
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  /// Reads one document; call it once. `text` must outlive the document: nodes point into it.
  /// @return nothing if it is well-formed and without duplicates; else kBadJson, kTooDeep or, for
  ///         an otherwise well-formed document, kDuplicateMember.
  std::optional<ErrorCode> parse(std::string_view text);

  /// The nodes in document order; the value of the document is the first. Valid after success.
  const JsonNode* begin() const noexcept { return nodes_; }
  const JsonNode* end() const noexcept { return nodes_ + size_; }
  const JsonNode& root() const noexcept { return nodes_[0]; }
  const JsonNode& operator[](std::size_t index) const noexcept { return nodes_[index]; }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kInlineNodes = 16;

  bool scan_string(const char*& at, const char* end, std::string_view& out);
  bool unescape(const char*& at, const char* end, const char* begin, std::string_view& out);
  void grow();
  bool has_duplicates() const;
  bool has_duplicates(std::size_t object) const;
  bool has_duplicates_among_many(std::size_t object) const;

  alignas(JsonNode) std::byte inline_storage_[kInlineNodes * sizeof(JsonNode)];
  std::vector<JsonNode> more_nodes_;
  JsonNode* nodes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = kInlineNodes;

  // Unescaped strings. An escape is never shorter than what it stands for, so the length of the
  // input is room enough for all of them together.
  std::unique_ptr<char[]> unescaped_;
  std::size_t unescaped_capacity_ = 0;
  char* unescaped_end_ = nullptr;
};

/// True if the bytes are well-formed UTF-8: no overlong forms, no surrogates, at most U+10FFFF.
bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_JSON_READER_H_
