// WebSocket frames read by our decoder from bytes cut into pieces, for tests and fuzz targets: what
// came out, and whether Beast agrees.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_NET_FRAME_READING_H_
#define COUNTERSIGN_NET_FRAME_READING_H_

#include <string>
#include <string_view>
#include <vector>

namespace countersign::net {

struct FrameReading {
  std::vector<std::string> events;  ///< `text:…`, `ping:…`, `pong:…`, `close:CODE`
  bool failed = false;
  std::string failure;

  friend bool operator==(const FrameReading&, const FrameReading&) = default;
};

/// Feeds `bytes` in pieces whose sizes go round through `pieces`, up to a close frame or a failure;
/// in one piece if it is empty.
FrameReading read_frames(std::string_view bytes, const std::vector<std::size_t>& pieces,
                         std::size_t max_message_bytes);

/// Empty if Beast sees the same events and the same end; else what differs.
std::string disagreement_with_beast(std::string_view bytes, const FrameReading& ours,
                                    std::size_t max_message_bytes);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_FRAME_READING_H_
