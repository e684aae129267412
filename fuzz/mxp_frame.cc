// Property: what is read as a frame of the classic SDK is written back as the very same text, its
// parts are within bounds, and deciphering its payload with any key yields text or a refusal.
#include "protocol/mxp_frame.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/mxp_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace protocol = countersign::protocol;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto frame = protocol::parse_mxp_frame(text);
  if (!frame) return 0;
  if (protocol::encode_mxp_frame(*frame) != text) std::abort();
  if (frame->count == 0 || frame->count > protocol::kMaxMxpParts) std::abort();
  if (frame->index >= frame->count || (frame->mark == "-") != (frame->count == 1)) std::abort();
  for (const std::size_t key_size : {16, 32}) {
    const auto plain = protocol::decrypt_mxp(std::string(key_size, 'k'), frame->payload);
    if (plain) (void)protocol::decode_mxp_message(*plain);
  }
  return 0;
}
