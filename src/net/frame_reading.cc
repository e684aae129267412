#include "net/frame_reading.h"

#include <algorithm>

#include "base/unicode.h"
#include "net/beast_reference.h"
#include "net/websocket_codec.h"

namespace countersign::net {

FrameReading read_frames(std::string_view bytes, const std::vector<std::size_t>& pieces,
                         std::size_t max_message_bytes) {
  using Event = FrameDecoder::Event;
  FrameReading out;
  FrameDecoder decoder(max_message_bytes);
  for (std::size_t turn = 0; !bytes.empty(); ++turn) {
    const std::size_t size = pieces.empty() ? bytes.size() : pieces[turn % pieces.size()];
    std::string piece(bytes.substr(0, size));
    bytes.remove_prefix(piece.size());
    std::span<char> input(piece);
    for (Event event = decoder.next(input); event != Event::kMore; event = decoder.next(input)) {
      switch (event) {
        case Event::kText:
          out.events.push_back("text:" + std::string(decoder.payload()));
          break;
        case Event::kPing:
          out.events.push_back("ping:" + std::string(decoder.payload()));
          break;
        case Event::kPong:
          out.events.push_back("pong:" + std::string(decoder.payload()));
          break;
        case Event::kClose:
          out.events.push_back("close:" + std::to_string(decoder.close_code()));
          return out;
        case Event::kFailure:
          out.failed = true;
          out.failure = decoder.failure();
          return out;
        case Event::kMore:
          break;
      }
    }
  }
  return out;
}

std::string disagreement_with_beast(std::string_view bytes, const FrameReading& ours,
                                    std::size_t max_message_bytes) {
  // Where we are stricter on purpose, and where Beast knows other close codes.
  if (ours.failure == "binary frame" || ours.failure == "close code that must not be sent")
    return "";
  const auto beast = read_frames_with_beast(bytes, max_message_bytes);
  if (beast.binary) return ours.failed ? "" : "Beast sees a binary message";
  // Beast lets pass a text that ends within a character if its last fragment is empty. utf8proc is
  // the judge there.
  const auto at = ours.events.size();
  if (ours.failure == "text is not UTF-8" && beast.events.size() > at &&
      beast.events[at].starts_with("text:") && !base::count_code_points(beast.events[at])) {
    return "";
  }
  // Beast notices text that is not UTF-8 before the message is complete; until then we go on
  // serving control frames. Texts must be the same, and so must everything up to Beast's end.
  const auto agreed = static_cast<std::ptrdiff_t>(beast.events.size());
  if (ours.events.size() < beast.events.size() ||
      !std::equal(beast.events.begin(), beast.events.end(), ours.events.begin())) {
    return "events";
  }
  const bool more_text = std::any_of(ours.events.begin() + agreed, ours.events.end(),
                                     [](const auto& event) { return event.starts_with("text:"); });
  if (more_text) return "a text that Beast refuses";
  if (ours.events.size() > beast.events.size() && !beast.failed) return "events";
  if (ours.failed && !beast.failed) {
    // We may judge a frame by its header; Beast waits for the payload.
    const auto longer =
        read_frames_with_beast(std::string(bytes) + std::string(16, 'x'), max_message_bytes);
    if (!longer.failed) return "we fail: " + ours.failure;
  }
  return "";
}

}  // namespace countersign::net
