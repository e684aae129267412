// Body reader: takes the members of one JSON object, each by the rule of its kind, and keeps the
// first fault. What a fault is called: kBadRequest for what does not follow the rules,
// kMessageTooLarge for too many bytes, kLimitExceeded for too many of something.
// Thread-safety: belongs to one thread.
// Source: docs/reference/messages.md, "Users, numbers, refusals".
#ifndef COUNTERSIGN_PROTOCOL_BODY_READER_H_
#define COUNTERSIGN_PROTOCOL_BODY_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "countersign/codes.h"
#include "countersign/identity.h"

#include "protocol/messaging_commands.h"

namespace countersign::protocol {

/// C0, DEL and C1 controls. Expects valid UTF-8.
bool has_control(std::string_view text);
inline std::string_view view(const boost::json::string& text) { return {text.data(), text.size()}; }

/// Every member may be absent and then leaves its output alone; what must be there is the caller's
/// to require().
class BodyReader {
 public:
  /// `body` must outlive the reader.
  explicit BodyReader(const boost::json::object& body) : body_(body) {}

  bool has(std::string_view name) const { return find(name) != nullptr; }

  /// A string of 1 to `max_bytes` bytes; a longer one is refused with `too_long`.
  BodyReader& text(std::string_view name, std::size_t max_bytes, std::string& out,
                   ErrorCode too_long = ErrorCode::kBadRequest);
  /// An id: printable ASCII without blank, 1 to `max_bytes` bytes.
  BodyReader& id(std::string_view name, std::string& out, std::size_t max_bytes);
  BodyReader& id(std::string_view name, std::string& out);
  /// What people see: a text as above that is put into NFC and holds no control character.
  BodyReader& visible(std::string_view name, std::size_t max_bytes, std::string& out);
  /// A whole number, written as one.
  BodyReader& integer(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t& out);
  /// A page size: 1 to kMaxPage, more is kLimitExceeded.
  BodyReader& limit(std::size_t& out);
  BodyReader& identity(std::string_view name, Identity& out);
  BodyReader& identity(std::string_view name, std::optional<Identity>& out);
  /// At most `max` users, those that occur twice counted twice; `out` is sorted and unique.
  BodyReader& identities(std::string_view name, std::size_t max, std::vector<Identity>& out);
  /// `conv` or `to`; exactly one of them must be there.
  BodyReader& conversation(ConversationName& out);
  /// `epoch`, `offset` and `chain`, all of which must be there.
  BodyReader& position(ClientPosition& out);

  /// An object or a list (of at most `max`); nullptr if it is absent or refused.
  const boost::json::object* object(std::string_view name);
  const boost::json::array* array(std::string_view name, std::size_t max);

  BodyReader& require(bool truth);
  BodyReader& refuse(ErrorCode fault);
  /// Makes the fault of a reader of something inside this object its own.
  BodyReader& take_fault(const BodyReader& inner);
  /// The first fault.
  std::optional<ErrorCode> fault() const { return fault_; }

 private:
  const boost::json::value* find(std::string_view name) const {
    return body_.if_contains(boost::json::string_view(name.data(), name.size()));
  }

  const boost::json::object& body_;
  std::optional<ErrorCode> fault_;
};

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_BODY_READER_H_
