// Property: the request parser's outcome does not depend on how the bytes are cut, what it accepts
// keeps within its limits, and Beast reads it the same way.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "net/request_reading.h"

namespace {

constexpr std::size_t kMaxHeaderBytes = 1024;
constexpr std::size_t kMaxBodyBytes = 512;

}  // namespace

/// The first two bytes choose the sizes of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countersign::net::RequestParser;
  if (size < 2) return 0;
  const std::vector<std::size_t> pieces = {std::size_t{data[0]} + 1, std::size_t{data[1]} % 7 + 1};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = countersign::net::read_request(bytes, {}, kMaxHeaderBytes, kMaxBodyBytes);
  const auto cut = countersign::net::read_request(bytes, pieces, kMaxHeaderBytes, kMaxBodyBytes);
  if (whole != cut) std::abort();
  if (whole.body.size() > kMaxBodyBytes) std::abort();
  if (whole.fields.size() > RequestParser::kMaxFields) std::abort();
  if (!countersign::net::disagreement_with_beast(bytes, whole).empty()) std::abort();
  return 0;
}
