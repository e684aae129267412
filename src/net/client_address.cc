#include "net/client_address.h"

#include <algorithm>

#include "net/text.h"

namespace countersign::net {
namespace {

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
Result<IpAddress> parse_hop(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    const auto end = text.find(']');
    if (end == text.npos) return fail(ErrorCode::kBadRequest, "unclosed bracket");
    return IpAddress::parse(text.substr(1, end - 1));
  }
  if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
  return IpAddress::parse(text);
}

}  // namespace

bool is_trusted(const IpAddress& address, const std::vector<Network>& trusted_proxies) {
  return std::any_of(trusted_proxies.begin(), trusted_proxies.end(),
                     [&](const Network& network) { return network.contains(address); });
}

void resolve_client(Request& request, bool tls, const std::vector<Network>& trusted_proxies) {
  request.client = request.peer;
  request.secure = tls;
  if (trusted_proxies.empty() || !is_trusted(request.peer, trusted_proxies)) return;

  // Several fields of one name are one list, in order: walk both backwards.
  bool stop = false;
  bool proto_seen = false;
  for (auto field = request.fields.rbegin(); field != request.fields.rend(); ++field) {
    if (field->name == "x-forwarded-proto" && !proto_seen) {
      proto_seen = true;
      const auto comma = field->value.rfind(',');
      const auto last = comma == field->value.npos ? field->value : field->value.substr(comma + 1);
      request.secure = equals_ignoring_case(trim(last), "https");
    }
    if (field->name != "x-forwarded-for") continue;
    std::string_view rest = field->value;
    while (!stop && !rest.empty()) {
      const auto comma = rest.rfind(',');
      const auto entry = trim(comma == rest.npos ? rest : rest.substr(comma + 1));
      rest = comma == rest.npos ? std::string_view() : rest.substr(0, comma);
      const auto hop = parse_hop(entry);
      if (!hop) {
        stop = true;  // whoever wrote this cannot be followed further
        break;
      }
      request.client = *hop;
      stop = !is_trusted(*hop, trusted_proxies);
    }
  }
}

}  // namespace countersign::net
