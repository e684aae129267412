// MXP messages: what a frame of the classic SDK holds once it is decrypted, and how its text and
// headers become the body of a message and back.
//
// The SDK's headers are one string, by custom the JSON of an object. If it is an object of strings
// that fits our limits, its members are the message's headers; any other string stands under the
// one header `ph`. Attachments, which the SDK does not know, are told as addresses under the text.
// Thread-safety: value types and pure functions.
// Source: docs/reference/classic-door.md, "Messages".
#ifndef COUNTERSIGN_PROTOCOL_MXP_MESSAGE_H_
#define COUNTERSIGN_PROTOCOL_MXP_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/identity.h"
#include "countersign/result.h"

namespace countersign::protocol {

struct MxpMessage {
  std::uint32_t code = 0;              ///< `md`: of body type `msg` 1 is a message, 2 a receipt
  std::string type;                    ///< `bt`
  std::string body;                    ///< `bd`; empty if there is none
  std::optional<std::string> headers;  ///< `nvps.ph`
  std::string user;                    ///< `fu`: who sends, as the sender says
  std::string instance;                ///< `fi`: `INSTANCE:SUBINSTANCE`; may be empty
  std::string device;                  ///< `fd`
  std::string channel;                 ///< `fs`: where receipts go
  friend bool operator==(const MxpMessage&, const MxpMessage&) = default;
};

inline constexpr std::uint32_t kMxpText = 1;
inline constexpr std::uint32_t kMxpReceipt = 2;

/// From JSON, as decrypted. Members we do not know are passed over; `fsi` is refused, because
/// receivers would append it to the sender's instance. kBadRequest.
Result<MxpMessage> decode_mxp_message(std::string_view json);
/// In the SDK's own order of members.
std::string encode_mxp_message(const MxpMessage& message);

/// Send::body for a text message, from its `bd` and `nvps.ph`.
/// @return kBadRequest, kMessageTooLarge, kLimitExceeded as write_message_body(); kBadRequest also
///         if `bd` is not the JSON of an object with a string `t`.
Result<std::string> body_of_mxp_text(std::string_view bd,
                                     const std::optional<std::string>& headers);

struct MxpText {
  std::string bd;
  std::optional<std::string> headers;
};
/// The inverse, from the body as the store keeps it. kBadRequest if that is no body of a text.
Result<MxpText> mxp_text_of_body(std::string_view body);

/// What the gateway's other rooms say in JSON, read back.

/// The code of an error reply; nothing if the reply is none. kInternal if it cannot be read.
std::optional<ErrorCode> error_of_reply(std::string_view reply);

struct ReceiptsPush {
  std::string conversation;
  Identity user;
  std::int64_t delivered = 0;
};
/// The receipt of one member; nothing for a count, or what is no receipt.
std::optional<ReceiptsPush> read_receipts_push(std::string_view push);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_MXP_MESSAGE_H_
