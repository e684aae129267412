// Property: the frame decoder's events do not depend on how the bytes are cut, texts keep within
// the limit and are UTF-8, and Beast sees the same events.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/unicode.h"
#include "net/frame_reading.h"

namespace {

constexpr std::size_t kMaxMessageBytes = 512;

}  // namespace

/// The first two bytes choose the sizes of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::vector<std::size_t> pieces = {std::size_t{data[0]} + 1, std::size_t{data[1]} % 7 + 1};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = countersign::net::read_frames(bytes, {}, kMaxMessageBytes);
  const auto cut = countersign::net::read_frames(bytes, pieces, kMaxMessageBytes);
  if (whole != cut) std::abort();
  for (const std::string_view event : whole.events) {
    if (!event.starts_with("text:")) continue;
    if (event.size() > kMaxMessageBytes + 5) std::abort();
    if (!countersign::base::count_code_points(event)) std::abort();
  }
  if (!countersign::net::disagreement_with_beast(bytes, whole, kMaxMessageBytes).empty()) {
    std::abort();
  }
  return 0;
}
