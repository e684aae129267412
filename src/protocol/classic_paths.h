// Classic paths: the requests of the publish-subscribe plane, as the classic SDK writes them into
// the path of a GET.
//
//     /time/0
//     /subscribe/{subscribe key}/{channels}/0/{timetoken}
//     /publish/{publish key}/{subscribe key}/0/{channel}/0/{message}
//     /v2/presence/sub_key/{subscribe key}/channel/{channels}/leave
//
// The path is split at its slashes before anything is decoded: a message holds `%2F`. Channels are
// one segment, joined by commas, which may be encoded. A message is a JSON string literal. Whether
// a key or a channel is anybody's is not judged here, only whether it could be one.
// Thread-safety: value types and pure functions.
// Source: docs/reference/classic-door.md, "Publish-subscribe".
#ifndef COUNTERSIGN_PROTOCOL_CLASSIC_PATHS_H_
#define COUNTERSIGN_PROTOCOL_CLASSIC_PATHS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "countersign/result.h"

namespace countersign::protocol {

/// Longer paths are refused: a full frame makes about 1.7 kB, 4.5 kB at worst.
inline constexpr std::size_t kMaxClassicPathBytes = 8 * 1024;
/// Keys and channels: 1 to this many unreserved characters (RFC 3986), without `-pnpres`.
inline constexpr std::size_t kMaxClassicNameBytes = 128;
/// Of one poll. The SDK names two, and one more during a call.
inline constexpr std::size_t kMaxClassicChannels = 10;

/// Timetokens begin here, so that they have the 17 digits that the SDK's vendor gives them.
inline constexpr std::uint64_t kTimetokenBase = 10'000'000'000'000'000;

struct ClassicTime {
  friend bool operator==(const ClassicTime&, const ClassicTime&) = default;
};
struct ClassicSubscribe {
  std::string key;
  std::vector<std::string> channels;  ///< as they came; unique
  std::uint64_t timetoken = 0;        ///< 0: asks for the present position
  friend bool operator==(const ClassicSubscribe&, const ClassicSubscribe&) = default;
};
struct ClassicPublish {
  std::string publish_key;
  std::string subscribe_key;
  std::string channel;
  std::string message;  ///< the text of the JSON string
  friend bool operator==(const ClassicPublish&, const ClassicPublish&) = default;
};
struct ClassicLeave {
  std::string key;
  std::vector<std::string> channels;
  friend bool operator==(const ClassicLeave&, const ClassicLeave&) = default;
};
using ClassicRequest = std::variant<ClassicTime, ClassicSubscribe, ClassicPublish, ClassicLeave>;

/// True for paths that belong to the plane by their first segment, well formed or not.
bool is_classic_plane(std::string_view path);

/// @param path  as sent, percent-encoded, without the query.
/// @return kNotFound if no request of the plane looks like this; kMessageTooLarge beyond
///         kMaxClassicPathBytes; kBadRequest for what looks like one and cannot be.
Result<ClassicRequest> parse_classic_path(std::string_view path);

/// 1 to 20 decimal digits without a leading zero, or `0`. kBadRequest.
Result<std::uint64_t> parse_timetoken(std::string_view text);

// Answers, complete.

struct ClassicItem {
  std::string channel;
  std::string text;  ///< a frame; goes out as a JSON string
  friend bool operator==(const ClassicItem&, const ClassicItem&) = default;
};
/// `[[messages],"timetoken","channel,channel"]`; without the third element if there is no message.
std::string encode_poll_answer(const std::vector<ClassicItem>& items, std::uint64_t timetoken);
/// `[1,"Sent","timetoken"]`.
std::string encode_sent_answer(std::uint64_t timetoken);
/// `[timetoken]`.
std::string encode_time_answer(std::uint64_t timetoken);
/// `{"status":200,"action":"leave",…}`.
std::string encode_leave_answer();
/// `{"error":true,"status":…,"message":…,"service":…}`: the only form that every build of the SDK
/// takes for an error.
std::string encode_plane_error(int status, std::string_view message, std::string_view service);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_CLASSIC_PATHS_H_
