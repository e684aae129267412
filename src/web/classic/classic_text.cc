#include "web/classic/classic_text.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/json.hpp>

#include "base/json_text.h"
#include "protocol/body_reader.h"
#include "protocol/strict_json.h"
#include "web/server_api_text.h"

namespace countersign::web::classic {
namespace {

using gateway::classic::Participant;
using gateway::classic::TransportView;

/// More than any transport may have; how many that are is the gateway's business.
constexpr std::size_t kMaxNamed = 100;
constexpr std::size_t kMaxEndpointBytes = 1'024;

}  // namespace

void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (out.back() != '{') out += ',';
  out.append("\"").append(name).append("\":");
  base::append_json_string(out, text);
}

Result<std::vector<Identity>> read_recipients(std::string_view body, const Identity& sender) {
  const auto read = protocol::read_strict_json(body);
  if (!read || read->objectionable || !read->value.is_array()) {
    return fail(ErrorCode::kBadRequest, "the body is no JSON array");
  }
  const auto& list = read->value.get_array();
  if (list.empty()) return std::vector<Identity>{sender};
  if (list.size() > kMaxNamed) return fail(ErrorCode::kLimitExceeded, "too many are named");
  std::vector<Identity> recipients;
  for (const auto& value : list) {
    if (!value.is_object()) return fail(ErrorCode::kBadRequest, "a recipient is an object");
    std::string type = "username";
    Identity user;
    protocol::BodyReader reader(value.get_object());
    reader.text("type", kMaxEndpointBytes, type).text("identity", kMaxEndpointBytes, user.endpoint);
    if (reader.fault() || user.endpoint.empty()) {
      return fail(ErrorCode::kBadRequest, "a recipient without a name");
    }
    const auto known_type = parse_identity_type(type);
    if (!known_type) continue;
    user.type = *known_type;
    if (validate_identity(user, UserNameRule::kUtf8)) recipients.push_back(std::move(user));
  }
  return recipients;
}

Result<std::string> read_transport_id(std::string_view query) {
  constexpr std::string_view kName = "transportId=";
  std::optional<std::string> found;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!pair.starts_with(kName)) continue;
    if (found) return fail(ErrorCode::kBadRequest, "two transports are named");
    Result<std::string> id = decode_path_segment(pair.substr(kName.size()));
    if (!id) return id.failure();
    found = *std::move(id);
  }
  if (!found || found->empty()) return fail(ErrorCode::kBadRequest, "no transport is named");
  return *std::move(found);
}

std::string transport_answer(const TransportView& transport) {
  std::string text = "{";
  append_member(text, "transportId", transport.id);
  append_member(text, "key", transport.key);
  text += ",\"participants\":[";
  for (const Participant& participant : transport.participants) {
    if (text.back() != '[') text += ',';
    text += '{';
    append_member(text, "channel", participant.channel);
    text += ",\"destination\":{";
    append_member(text, "identity", participant.user.endpoint);
    if (participant.user.type != IdentityType::kUsername) {
      append_member(text, "type", identity_type_name(participant.user.type));
    }
    text += "},\"instances\":[{\"capabilities\":[\"im\"]}]}";
  }
  return text + "]}";
}

}  // namespace countersign::web::classic
