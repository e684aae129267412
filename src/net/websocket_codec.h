// WebSocket frames, server side: a decoder that keeps next to nothing between messages, and an
// encoder. Pure: no socket, no clock.
//
// Why not Beast's stream: it holds about 3.2 kB a connection at rest, this decoder about 100 bytes
// (docs/decisions). Beast's is the reference it is tested against.
// Thread-safety: none; a decoder belongs to one connection. Source: RFC 6455 sections 5 to 8.
#ifndef COUNTERSIGN_NET_WEBSOCKET_CODEC_H_
#define COUNTERSIGN_NET_WEBSOCKET_CODEC_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace countersign::net {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

/// True if `text` is UTF-8: shortest form, no surrogates, at most U+10FFFF (RFC 3629).
bool is_valid_utf8(std::string_view text);

/// Appends one unmasked, unfragmented frame. Precondition: control frames hold at most 125 bytes.
void append_frame(std::string& out, Opcode opcode, std::string_view payload);
/// The payload of a close frame: the code in network order, then the reason.
std::string close_payload(std::uint16_t code, std::string_view reason);

/// Decodes what a client sends: masked frames, text only.
class FrameDecoder {
 public:
  enum class Event : std::uint8_t {
    kMore,  ///< all input is used; feed more
    kText,  ///< payload() is one whole message, valid UTF-8
    kPing,  ///< payload() wants to come back in a pong
    kPong,
    kClose,    ///< payload() is empty or a code (close_code()) and a reason
    kFailure,  ///< the client broke the rules; nothing after this can be read. failure() says how
  };

  /// Messages (all fragments together) of more than `max_message_bytes` are failures.
  explicit FrameDecoder(std::size_t max_message_bytes)
      : max_message_bytes_(static_cast<std::uint32_t>(max_message_bytes)) {}

  /// Decodes up to the next event and removes the bytes used from the front of `input`, which it
  /// may overwrite. payload() is valid until the next call, and only as long as `input`'s memory.
  Event next(std::span<char>& input);
  std::string_view payload() const { return payload_; }
  /// The code of a close frame, 1005 if it had none. After kClose.
  std::uint16_t close_code() const;
  /// A fixed text for logs. After kFailure.
  const char* failure() const { return failure_; }

 private:
  Event fail(const char* why);
  bool read_header(std::span<char>& input);
  Event begin_frame();
  Event finish_frame();
  void unmask(std::span<char> bytes);
  bool is_control() const { return opcode_ >= 8; }

  const char* failure_ = nullptr;
  std::string_view payload_;
  std::string message_;  ///< data fragments so far; holds memory only while a message is incomplete
  std::string control_;  ///< the same for a control frame cut by the network
  std::uint32_t max_message_bytes_;
  std::uint32_t remaining_ = 0;  ///< payload bytes of the present frame still to come
  std::array<std::uint8_t, 14> header_{};
  std::uint8_t header_have_ = 0;
  std::uint8_t opcode_ = 0;
  std::uint8_t mask_phase_ = 0;
  std::array<std::uint8_t, 4> mask_{};
  bool fin_ = false;
  bool in_payload_ = false;
  bool in_message_ = false;  ///< a first fragment without FIN has come
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_WEBSOCKET_CODEC_H_
