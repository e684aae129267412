// Property: what is read as an event between nodes is written back as the very same bytes, so an
// event has one form only; and it fits where it will be spliced in.
#include "protocol/user_event.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <variant>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace protocol = countersign::protocol;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  const auto event = protocol::decode_user_event(payload);
  if (!event) return 0;
  if (protocol::encode_user_event(*event) != payload) std::abort();
  if (const auto* entry = std::get_if<protocol::EntryEvent>(&event->what)) {
    if (entry->offset <= 0 || entry->chain.size() != 8) std::abort();
    if (entry->entry.find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
