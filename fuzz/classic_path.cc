// Property: what is read as a request of the publish-subscribe plane has keys and channels that can
// stand in a path, and reads the same when it is written again with everything encoded.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/classic_paths.h"

namespace {

namespace protocol = countersign::protocol;

void check(bool good) {
  if (!good) std::abort();
}

void check_name(std::string_view name) {
  check(!name.empty() && name.size() <= protocol::kMaxClassicNameBytes);
  check(name.find("-pnpres") == std::string_view::npos);
  check(name.find_first_of("/,% \"\\*?#") == std::string_view::npos);
}

std::string encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out.append("%").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
  }
  return out;
}

std::string joined(const std::vector<std::string>& channels) {
  std::string out;
  for (const std::string& channel : channels) {
    check_name(channel);
    out.append(out.empty() ? "" : ",").append(channel);
  }
  check(!channels.empty() && channels.size() <= protocol::kMaxClassicChannels);
  check(std::set<std::string>(channels.begin(), channels.end()).size() == channels.size());
  return encoded(out);
}

// A JSON string literal of any text, with everything escaped that may be.
std::string literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.append("\\").append(1, c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out.append("\\u00").append(1, kHex[c >> 4]).append(1, kHex[c & 15]);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string written(const protocol::ClassicRequest& request) {
  if (const auto* subscribe = std::get_if<protocol::ClassicSubscribe>(&request)) {
    check_name(subscribe->key);
    return "/subscribe/" + subscribe->key + "/" + joined(subscribe->channels) + "/0/" +
           std::to_string(subscribe->timetoken);
  }
  if (const auto* publish = std::get_if<protocol::ClassicPublish>(&request)) {
    check_name(publish->publish_key);
    check_name(publish->subscribe_key);
    check_name(publish->channel);
    return "/publish/" + publish->publish_key + "/" + publish->subscribe_key + "/0/" +
           publish->channel + "/0/" + encoded(literal(publish->message));
  }
  if (const auto* leave = std::get_if<protocol::ClassicLeave>(&request)) {
    check_name(leave->key);
    return "/v2/presence/sub_key/" + leave->key + "/channel/" + joined(leave->channels) + "/leave";
  }
  return "/time/0";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view path(reinterpret_cast<const char*>(data), size);
  const auto request = protocol::parse_classic_path(path);
  if (!request) return 0;
  check(protocol::is_classic_plane(path));
  const std::string again = written(*request);
  // Encoding makes three characters of one.
  if (again.size() > protocol::kMaxClassicPathBytes) return 0;
  const auto read_again = protocol::parse_classic_path(again);
  check(read_again.ok());
  check(*read_again == *request);
  return 0;
}
