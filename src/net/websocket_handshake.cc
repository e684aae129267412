#include "net/websocket_handshake.h"

#include <array>

#include <openssl/evp.h>

#include "base/encoding.h"
#include "net/text.h"

namespace countersign::net {
namespace {

bool lists(const Request& request, std::string_view name, std::string_view item) {
  bool found = false;
  for (const auto& field : request.fields) {
    if (field.name != name) continue;
    for_each_item(field.value,
                  [&](std::string_view one) { found = found || equals_ignoring_case(one, item); });
  }
  return found;
}

/// Protocol names are compared as they are.
bool offers_subprotocol(const Request& request, std::string_view name) {
  bool found = false;
  for (const auto& field : request.fields) {
    if (field.name != "sec-websocket-protocol") continue;
    for_each_item(field.value, [&](std::string_view one) { found = found || one == name; });
  }
  return found;
}

/// The base64 text of sixteen bytes.
bool is_key(std::string_view text) {
  if (text.size() != 24 || !text.ends_with("==")) return false;
  for (const char c : text.substr(0, 22)) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alnum && c != '+' && c != '/') return false;
  }
  return true;
}

std::string accept_key(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return base::base64_encode(std::span(digest.data(), size));
}

}  // namespace

bool wants_websocket(const Request& request) {
  return lists(request, "connection", "upgrade") && lists(request, "upgrade", "websocket");
}

std::string first_offered_subprotocol(const Request& request) {
  std::string first;
  for_each_item(request.header("sec-websocket-protocol"), [&](std::string_view name) {
    if (first.empty()) first = name;
  });
  return first;
}

Result<Response> accept_websocket(const Request& request, std::string_view subprotocol) {
  if (request.count("sec-websocket-version") != 1 ||
      request.header("sec-websocket-version") != "13") {
    return fail(ErrorCode::kUpgradeRequired, "WebSocket version is not 13");
  }
  if (request.method != "GET" || request.count("sec-websocket-key") != 1 ||
      !is_key(request.header("sec-websocket-key"))) {
    return fail(ErrorCode::kMalformedRequest, "WebSocket handshake is malformed");
  }
  Response response;
  response.status = 101;
  response.set("upgrade", "websocket");
  response.set("connection", "Upgrade");
  response.set("sec-websocket-accept", accept_key(request.header("sec-websocket-key")));
  if (!subprotocol.empty() && offers_subprotocol(request, subprotocol)) {
    response.set("sec-websocket-protocol", std::string(subprotocol));
  }
  return response;
}

}  // namespace countersign::net
