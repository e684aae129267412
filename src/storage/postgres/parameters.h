// Parameters: the values of one statement, in PostgreSQL's binary formats with their types.
//
// Nothing is quoted and nothing is cut: text and bytes travel with their lengths, and the server
// refuses text that is not UTF-8 or holds U+0000. Arrays make one statement of many rows.
// Thread-safety: a value type.
// Source: https://www.postgresql.org/docs/15/protocol-message-formats.html (Bind), and the server's
// src/backend/utils/adt/arrayfuncs.c (array_recv) for arrays.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_PARAMETERS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_PARAMETERS_H_

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/clock.h"

namespace countersign::storage::postgres {

/// Bytes for a bytea; text is for text.
struct Bytes {
  std::string_view bytes;
};
/// Rows of a bytea[].
struct BytesArray {
  std::span<const std::string> rows;
};

class Parameters {
 public:
  Parameters() = default;
  template <class... Values>
  explicit Parameters(const Values&... values) {
    (add(values), ...);
  }

  /// Appends the next parameter; the value is copied.
  void add(std::string_view text);
  void add(const char* text) { add(std::string_view(text)); }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(Bytes bytes);
  void add(bool truth);
  void add(base::SystemTime time);
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) void add(Integer number) {
    add_integer(static_cast<std::int64_t>(number));
  }
  /// NULL of the value's type when there is none.
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add(T{});
      values_.back().is_null = true;
    }
  }
  void add(std::span<const std::string> texts);
  void add(const std::vector<std::string>& texts) { add(std::span<const std::string>(texts)); }
  void add(BytesArray array);
  void add(std::span<const std::int64_t> numbers);
  void add(const std::vector<std::int64_t>& numbers) {
    add(std::span<const std::int64_t>(numbers));
  }

  int size() const { return static_cast<int>(values_.size()); }
  /// Object ids of the types, in order.
  std::vector<unsigned> types() const;
  /// What libpq takes: null pointers for NULLs; valid as long as this is.
  std::vector<const char*> values() const;
  std::vector<int> lengths() const;

 private:
  struct Value {
    unsigned type;
    std::string bytes;
    bool is_null = false;
  };

  void add_integer(std::int64_t number);
  template <class Rows>
  void add_array(unsigned array_type, unsigned element_type, const Rows& rows);

  std::vector<Value> values_;
};

/// One statement to run. `sql` must be a literal or a constant: prepared statements are known by
/// its address.
struct Query {
  const char* sql;
  Parameters parameters;

  template <class... Values>
  explicit Query(const char* sql_, const Values&... values) : sql(sql_), parameters(values...) {}
};

/// A limit as PostgreSQL takes it: it knows no unsigned numbers.
std::int64_t sql_limit(std::size_t limit);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_PARAMETERS_H_
