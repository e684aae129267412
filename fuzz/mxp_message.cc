// Property: a decrypted message of the classic SDK reads the same when it is written again; a text
// that becomes a message body becomes the same body again after a way through the SDK's form.
#include "protocol/mxp_message.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace protocol = countersign::protocol;
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto message = protocol::decode_mxp_message(json);
  if (!message) return 0;
  const auto again = protocol::decode_mxp_message(protocol::encode_mxp_message(*message));
  if (!again || *again != *message) std::abort();
  const auto body = protocol::body_of_mxp_text(message->body, message->headers);
  if (!body) return 0;
  const auto text = protocol::mxp_text_of_body(*body);
  if (!text) std::abort();
  const auto body_again = protocol::body_of_mxp_text(text->bd, text->headers);
  if (!body_again || *body_again != *body) std::abort();
  return 0;
}
