// MXP frames: how the classic SDK writes a message on a channel. Text, single blanks:
//
//     10 SESSION MARK INDEX COUNT PAYLOAD[ TRANSPORT]
//
// A long payload is cut into parts that share a random MARK; a short one has the mark `-`.
// The payload is base64(IV ‖ AES-CBC-PKCS7(key, JSON)); 16 bytes of key make AES-128, 32 AES-256.
// There is no integrity check, so what decrypts may still be garbage: the JSON reader judges.
// Thread-safety: value types and pure functions.
// Source: docs/reference/classic-door.md, "Frames"; NIST SP 800-38A (CBC), RFC 5652 section 6.3.
#ifndef COUNTERSIGN_PROTOCOL_MXP_FRAME_H_
#define COUNTERSIGN_PROTOCOL_MXP_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

namespace countersign::protocol {

inline constexpr std::size_t kMaxMxpNameBytes = 64;  ///< of SESSION and TRANSPORT
/// Of one frame. The SDK counts less overhead than it writes, so its frames pass 1500 by a little.
inline constexpr std::size_t kMaxMxpFrameBytes = 1'600;
/// Of a message: its parts together have at most kMaxMxpPayloadBytes.
inline constexpr std::size_t kMaxMxpParts = 64;
inline constexpr std::size_t kMaxMxpPayloadBytes = 64 * 1024;

struct MxpFrame {
  std::string session;      ///< the message's id
  std::string mark;         ///< `-`, or 1 to 10 digits when there are several parts
  std::uint32_t index = 0;  ///< below `count`
  std::uint32_t count = 1;
  std::string payload;    ///< base64 characters
  std::string transport;  ///< empty: not under a transport key
  friend bool operator==(const MxpFrame&, const MxpFrame&) = default;
};

/// Names are 1 to kMaxMxpNameBytes printable ASCII characters without blank.
/// @return kBadRequest, kMessageTooLarge.
Result<MxpFrame> parse_mxp_frame(std::string_view text);
std::string encode_mxp_frame(const MxpFrame& frame);

/// The frames of a whole payload, cut where the SDK cuts. The transport may be empty.
/// @param mark  random; used if there is more than one part.
std::vector<std::string> split_mxp_payload(std::string_view session, std::string_view transport,
                                           std::string_view payload, std::uint32_t mark);

using MxpIv = std::array<std::uint8_t, 16>;

/// @param key  16 or 32 raw bytes; kBadRequest otherwise.
/// @param iv   fresh random bytes.
Result<std::string> encrypt_mxp(std::string_view key, const MxpIv& iv, std::string_view text);
/// @return kBadRequest if the payload is not base64 of at least two blocks, or its padding shows
///         that the key is another.
Result<std::string> decrypt_mxp(std::string_view key, std::string_view payload);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_MXP_FRAME_H_
