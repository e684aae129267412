// Message body: what of a `send` the recipients get to see, checked and written in one canonical
// form. The store keeps that form and the gateway splices it into what it pushes, so nothing after
// this looks into it again.
// Thread-safety: pure functions. Source: docs/reference/messages.md, "send".
#ifndef COUNTERSIGN_PROTOCOL_MESSAGE_BODY_H_
#define COUNTERSIGN_PROTOCOL_MESSAGE_BODY_H_

#include <string>

#include <boost/json.hpp>

#include "countersign/result.h"

namespace countersign::protocol {

/// Send::body, from the members `text`, `headers` and `attachments`.
/// @return kBadRequest, kMessageTooLarge or kLimitExceeded, see BodyReader; kBadRequest also if
///         there is neither text nor attachment.
Result<std::string> write_message_body(const boost::json::object& send);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_MESSAGE_BODY_H_
