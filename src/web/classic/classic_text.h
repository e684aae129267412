// Classic texts: what the bodies and queries of the SDK's transport requests say, and the answer.
// Thread-safety: pure functions. Source: docs/reference/classic-door.md, "Transports".
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_TEXT_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "countersign/identity.h"
#include "countersign/result.h"

#include "gateway/classic/classic_gateway.h"

namespace countersign::web::classic {

/// Appends `"name":"text"` to an object that is being written, after a comma where one belongs.
void append_member(std::string& out, std::string_view name, std::string_view text);

/// The recipients that the body of `POST transport` names: an array of `{"identity":…}`, each with
/// a `type` at most. What cannot be anybody is left out, like everybody who is not known. The SDK
/// leaves the sender out of the list, so an empty one means `sender` alone.
/// @return kBadRequest; kLimitExceeded for more than 100.
Result<std::vector<Identity>> read_recipients(std::string_view body, const Identity& sender);
/// The transportId of a query as the SDK writes it, `transportId=ID&`. kBadRequest.
Result<std::string> read_transport_id(std::string_view query);
std::string transport_answer(const gateway::classic::TransportView& transport);

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_TEXT_H_
