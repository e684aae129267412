// Bodies of forms: application/x-www-form-urlencoded and flat JSON objects, decoded strictly.
//
// What a browser never sends is refused rather than guessed at: a name twice, a half escape, bytes
// that are not UTF-8, U+0000, nested JSON. A strict decoder leaves two readers no room to disagree.
// Thread-safety: pure functions; Fields is a value type.
// Source: WHATWG URL section 5.1; RFC 8259.
#ifndef COUNTERSIGN_WEB_FORM_BODY_H_
#define COUNTERSIGN_WEB_FORM_BODY_H_

#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "base/secret_bytes.h"
#include "net/http_message.h"

namespace countersign::web {

/// Names and values of a form. Wiped when it goes: some values are passwords.
class Fields {
 public:
  struct Field {
    std::string name;
    std::string value;
  };

  Fields() = default;
  Fields(Fields&&) noexcept = default;
  Fields& operator=(Fields&& other) noexcept;
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  ~Fields();

  /// False, and nothing is added, if the name is there already or there are too many.
  bool add(std::string name, std::string value);
  /// The value, or an empty view if there is no such field.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  base::SecretBytes secret(std::string_view name) const { return base::SecretBytes(get(name)); }
  const std::vector<Field>& all() const { return fields_; }

 private:
  const Field* find(std::string_view name) const;
  void clear();

  std::vector<Field> fields_;
};

inline constexpr std::size_t kMaxFields = 32;

/// Decodes `name=value&…`. kBadRequest.
Result<Fields> decode_form(std::string_view body);
/// Decodes one JSON object whose members are all strings. kBadRequest.
Result<Fields> decode_json_fields(std::string_view body);

enum class BodyType { kNone, kForm, kJson };

/// What the content-type header names: kNone for an empty body without one.
/// kUnsupportedMediaType for anything but exactly `application/x-www-form-urlencoded` or
/// `application/json`, each with `charset=utf-8` at most, and for the header sent twice.
Result<BodyType> body_type(const net::Request& request);

/// Reads the body by its type; no body gives no fields. kBadRequest.
Result<Fields> read_fields(BodyType type, std::string_view body);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_FORM_BODY_H_
