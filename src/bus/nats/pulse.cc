#include "bus/nats/pulse.h"

#include <algorithm>
#include <charconv>

namespace countersign::bus {
namespace {

constexpr std::string_view kMark = "pulse1 ";
constexpr std::size_t kMaxNodeBytes = 64;
constexpr std::chrono::seconds kPresence{5};

}  // namespace

std::string Pulse::encode() const {
  return std::string(kMark) + node + " " + std::to_string(number);
}

std::optional<Pulse> Pulse::decode(std::string_view text) {
  if (!text.starts_with(kMark)) return std::nullopt;
  text.remove_prefix(kMark.size());
  const auto blank = text.find(' ');
  if (blank == 0 || blank == std::string_view::npos || blank > kMaxNodeBytes) return std::nullopt;
  Pulse pulse;
  pulse.node = text.substr(0, blank);
  text.remove_prefix(blank + 1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pulse.number);
  if (error != std::errc() || end != text.data() + text.size() || pulse.number == 0) {
    return std::nullopt;
  }
  return pulse;
}

bool PulseEar::hear(const Pulse& pulse, Time now) {
  auto found = nodes_.find(pulse.node);
  const bool known = found != nodes_.end();
  if (!known) {
    if (nodes_.size() >= kMaxNodes) {
      nodes_.erase(std::ranges::min_element(nodes_, {},
                                            [](const auto& entry) { return entry.second.turn; }));
    }
    found = nodes_.emplace(pulse.node, Node{}).first;
  }
  Node& node = found->second;
  const bool missed = pulse.number != node.number + 1 && (known || now - start_ >= kAcquaintance);
  node = {pulse.number, ++turn_, now};
  return missed;
}

std::size_t PulseEar::present(Time now) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      nodes_, [now](const auto& entry) { return now - entry.second.heard <= kPresence; }));
}

const Pulse& PulseVoice::next(bool failed, Time now) {
  skipped_ = failed && (!last_skip_ || now - *last_skip_ >= kSkipPause);
  if (skipped_) last_skip_ = now;
  next_.number += skipped_ ? 2 : 1;
  return next_;
}

}  // namespace countersign::bus
