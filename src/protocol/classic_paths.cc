#include "protocol/classic_paths.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "base/json_text.h"
#include "base/unicode.h"
#include "protocol/strict_json.h"

namespace countersign::protocol {
namespace {

// The longest request has eight segments.
constexpr std::size_t kMaxSegments = 9;
constexpr std::size_t kMaxTimetokenDigits = 20;

struct Segments {
  std::array<std::string_view, kMaxSegments> text;
  std::size_t count = 0;  // kMaxSegments: there were more
  std::string_view operator[](std::size_t i) const { return text[i]; }
};

// What stands between the slashes, after the first one.
Segments split(std::string_view path) {
  Segments out;
  while (!path.empty() && out.count < kMaxSegments) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    out.text[out.count++] = path.substr(0, end);
    path.remove_prefix(end);
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Percent-decoding, as encodeURIComponent is undone: `+` is a plus.
std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

// Wildcards and presence channels are nobody's here.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxClassicNameBytes &&
         std::all_of(text.begin(), text.end(), is_unreserved) &&
         text.find("-pnpres") == std::string_view::npos;
}

std::optional<std::string> read_name(std::string_view segment) {
  auto name = decode(segment);
  if (!name || !is_name(*name)) return std::nullopt;
  return name;
}

std::optional<std::vector<std::string>> read_channels(std::string_view segment) {
  const auto text = decode(segment);
  if (!text) return std::nullopt;
  std::vector<std::string> channels;
  for (std::size_t begin = 0; begin <= text->size();) {
    const std::size_t end = std::min(text->find(',', begin), text->size());
    std::string name = text->substr(begin, end - begin);
    if (!is_name(name)) return std::nullopt;
    if (std::find(channels.begin(), channels.end(), name) == channels.end()) {
      if (channels.size() == kMaxClassicChannels) return std::nullopt;
      channels.push_back(std::move(name));
    }
    begin = end + 1;
  }
  return channels;
}

// The text of a JSON string.
std::optional<std::string> read_message(std::string_view segment) {
  const auto literal = decode(segment);
  if (!literal || literal->empty() || literal->front() != '"') return std::nullopt;
  auto json = read_strict_json(*literal);
  if (!json || json->objectionable || !json->value.is_string()) return std::nullopt;
  const auto& text = json->value.get_string();
  return std::string(text.data(), text.size());
}

auto bad(std::string_view what) { return fail(ErrorCode::kBadRequest, std::string(what)); }

Result<ClassicRequest> read_subscribe(const Segments& segments) {
  ClassicSubscribe request;
  const auto key = read_name(segments[1]);
  auto channels = read_channels(segments[2]);
  if (!key) return bad("subscribe key");
  if (!channels) return bad("channels");
  const auto timetoken = parse_timetoken(segments[4]);
  if (!timetoken) return timetoken.failure();
  return ClassicSubscribe{*key, *std::move(channels), *timetoken};
}

Result<ClassicRequest> read_publish(const Segments& segments) {
  auto publish_key = read_name(segments[1]);
  auto subscribe_key = read_name(segments[2]);
  auto channel = read_name(segments[4]);
  if (!publish_key || !subscribe_key) return bad("key");
  if (!channel) return bad("channel");
  auto message = read_message(segments[6]);
  if (!message) return bad("message");
  return ClassicPublish{*std::move(publish_key), *std::move(subscribe_key), *std::move(channel),
                        *std::move(message)};
}

Result<ClassicRequest> read_leave(const Segments& segments) {
  auto key = read_name(segments[3]);
  auto channels = read_channels(segments[5]);
  if (!key) return bad("subscribe key");
  if (!channels) return bad("channels");
  return ClassicLeave{*std::move(key), *std::move(channels)};
}

void append_token(std::string& out, std::uint64_t timetoken) {
  out.append("\"").append(std::to_string(timetoken)).append("\"");
}

}  // namespace

bool is_classic_plane(std::string_view path) {
  const auto begins = [path](std::string_view room) {
    return path.starts_with(room) && (path.size() == room.size() || path[room.size()] == '/');
  };
  return begins("/time") || begins("/subscribe") || begins("/publish") || begins("/v2/presence");
}

Result<std::uint64_t> parse_timetoken(std::string_view text) {
  std::uint64_t number = 0;
  const bool zero_first = text.size() > 1 && text.front() == '0';
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || text.size() > kMaxTimetokenDigits || zero_first || error != std::errc() ||
      end != text.data() + text.size()) {
    return bad("timetoken");
  }
  return number;
}

Result<ClassicRequest> parse_classic_path(std::string_view path) {
  if (!is_classic_plane(path)) return fail(ErrorCode::kNotFound, "not of the plane");
  if (path.size() > kMaxClassicPathBytes) return fail(ErrorCode::kMessageTooLarge, "path");
  const Segments segments = split(path);
  const std::string_view first = segments[0];
  if (first == "time" && segments.count == 2 && segments[1] == "0") return ClassicTime{};
  if (first == "subscribe" && segments.count == 5 && segments[3] == "0") {
    return read_subscribe(segments);
  }
  if (first == "publish" && segments.count == 7 && segments[3] == "0" && segments[5] == "0") {
    return read_publish(segments);
  }
  if (first == "v2" && segments.count == 7 && segments[2] == "sub_key" &&
      segments[4] == "channel" && segments[6] == "leave") {
    return read_leave(segments);
  }
  return fail(ErrorCode::kNotFound, "no such request of the plane");
}

std::string encode_poll_answer(const std::vector<ClassicItem>& items, std::uint64_t timetoken) {
  std::string out = "[[";
  std::string channels;
  for (const ClassicItem& item : items) {
    if (!channels.empty()) {
      out += ',';
      channels += ',';
    }
    base::append_json_string(out, item.text);
    channels += item.channel;
  }
  out += "],";
  append_token(out, timetoken);
  if (!channels.empty()) {
    out += ',';
    base::append_json_string(out, channels);
  }
  return out + "]";
}

std::string encode_sent_answer(std::uint64_t timetoken) {
  std::string out = "[1,\"Sent\",";
  append_token(out, timetoken);
  return out + "]";
}

std::string encode_time_answer(std::uint64_t timetoken) {
  return "[" + std::to_string(timetoken) + "]";
}

std::string encode_leave_answer() {
  return R"({"status":200,"action":"leave","message":"OK","service":"Presence"})";
}

std::string encode_plane_error(int status, std::string_view message, std::string_view service) {
  std::string out = "{\"error\":true,\"status\":" + std::to_string(status) + ",\"message\":";
  base::append_json_string(out, message);
  out += ",\"service\":";
  base::append_json_string(out, service);
  return out + "}";
}

}  // namespace countersign::protocol
