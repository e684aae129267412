#include "storage/postgres/parameters.h"

#include <algorithm>
#include <limits>

namespace countersign::storage::postgres {
namespace {

// Object ids of pg_type.dat; they never change.
constexpr unsigned kBool = 16;
constexpr unsigned kBytea = 17;
constexpr unsigned kInt8 = 20;
constexpr unsigned kText = 25;
constexpr unsigned kByteaArray = 1001;
constexpr unsigned kTextArray = 1009;
constexpr unsigned kInt8Array = 1016;

/// Big-endian, as everything on PostgreSQL's wire.
template <std::integral Integer>
void append(std::string& out, Integer number) {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(number);
  for (int shift = static_cast<int>(sizeof bits) * 8 - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>((bits >> shift) & 0xff);
  }
}

void append_element(std::string& out, std::string_view bytes) {
  append(out, static_cast<std::int32_t>(bytes.size()));
  out += bytes;
}

void append_element(std::string& out, std::int64_t number) {
  append(out, static_cast<std::int32_t>(sizeof number));
  append(out, number);
}

}  // namespace

void Parameters::add(std::string_view text) { values_.push_back({kText, std::string(text)}); }

void Parameters::add(Bytes bytes) { values_.push_back({kBytea, std::string(bytes.bytes)}); }

void Parameters::add(bool truth) {
  values_.push_back({kBool, std::string(1, truth ? '\1' : '\0')});
}

void Parameters::add(base::SystemTime time) { add_integer(time.time_since_epoch().count()); }

void Parameters::add_integer(std::int64_t number) {
  Value value{kInt8, {}};
  append(value.bytes, number);
  values_.push_back(std::move(value));
}

template <class Rows>
void Parameters::add_array(unsigned array_type, unsigned element_type, const Rows& rows) {
  Value value{array_type, {}};
  const bool empty = rows.empty();
  append(value.bytes, static_cast<std::int32_t>(empty ? 0 : 1));  // dimensions
  append(value.bytes, std::int32_t{0});                           // no NULLs
  append(value.bytes, static_cast<std::uint32_t>(element_type));
  if (!empty) {
    append(value.bytes, static_cast<std::int32_t>(rows.size()));
    append(value.bytes, std::int32_t{1});  // the first index
  }
  for (const auto& row : rows) append_element(value.bytes, row);
  values_.push_back(std::move(value));
}

void Parameters::add(std::span<const std::string> texts) { add_array(kTextArray, kText, texts); }

void Parameters::add(BytesArray array) { add_array(kByteaArray, kBytea, array.rows); }

void Parameters::add(std::span<const std::int64_t> numbers) {
  add_array(kInt8Array, kInt8, numbers);
}

std::vector<unsigned> Parameters::types() const {
  std::vector<unsigned> types;
  types.reserve(values_.size());
  for (const Value& value : values_) types.push_back(value.type);
  return types;
}

std::vector<const char*> Parameters::values() const {
  std::vector<const char*> pointers;
  pointers.reserve(values_.size());
  for (const Value& value : values_)
    pointers.push_back(value.is_null ? nullptr : value.bytes.data());
  return pointers;
}

std::vector<int> Parameters::lengths() const {
  std::vector<int> lengths;
  lengths.reserve(values_.size());
  for (const Value& value : values_) lengths.push_back(static_cast<int>(value.bytes.size()));
  return lengths;
}

std::int64_t sql_limit(std::size_t limit) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMost));
}

}  // namespace countersign::storage::postgres
