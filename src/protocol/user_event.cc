#include "protocol/user_event.h"

#include <limits>
#include <optional>
#include <utility>

#include "protocol/messaging_commands.h"

namespace countersign::protocol {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kEntryIdBytes = 16;

enum class Kind : std::uint8_t { kEntry = 1, kLoose = 2, kPresence = 3, kPresenceQuery = 4 };

class Writer {
 public:
  Writer& byte(std::uint8_t value) {
    out_.push_back(static_cast<char>(value));
    return *this;
  }
  Writer& number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
    return byte(static_cast<std::uint8_t>(value));
  }
  Writer& text(std::string_view value) {
    number(value.size());
    out_.append(value);
    return *this;
  }
  Writer& time(base::SystemTime value) {
    const auto count = static_cast<std::uint64_t>(value.time_since_epoch().count());
    for (int shift = 56; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(count >> shift));
    return *this;
  }

  void operator()(const EntryEvent& entry) {
    byte(static_cast<std::uint8_t>(Kind::kEntry)).number(static_cast<std::uint64_t>(entry.offset));
    text(entry.chain).text(entry.id).text(entry.epoch).text(entry.device);
    text(entry.entry).text(entry.stub);
  }
  void operator()(const LooseEvent& loose) {
    byte(static_cast<std::uint8_t>(Kind::kLoose)).byte(static_cast<std::uint8_t>(loose.kind));
    text(loose.key).text(loose.push);
  }
  void operator()(const PresenceEvent& presence) {
    byte(static_cast<std::uint8_t>(Kind::kPresence)).text(presence.node).number(presence.version);
    number(presence.devices).number(presence.away).time(presence.last_seen);
  }
  void operator()(const PresenceQuery&) { byte(static_cast<std::uint8_t>(Kind::kPresenceQuery)); }

  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads what a Writer wrote. Past the first fault everything reads as zero and empty.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  std::uint8_t byte() {
    if (rest_.empty()) {
      refuse();
      return 0;
    }
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  /// A number of at most `max`.
  std::uint64_t number(std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint64_t part = byte();
      const std::uint64_t bits = part & 0x7F;
      if (shift > 63 || (shift == 63 && bits > 1)) return refuse();  // more than 64 bits
      value |= bits << shift;
      if ((part & 0x80) != 0) continue;
      if (part == 0 && shift != 0) return refuse();  // not the fewest bytes
      return value > max ? refuse() : value;
    }
  }
  std::string text() {
    const std::size_t size = number(rest_.size());
    if (size > rest_.size()) {  // its length took some of what was left
      refuse();
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  base::SystemTime time() {
    std::uint64_t count = 0;
    for (int i = 0; i < 8; ++i) count = count << 8 | byte();
    return base::SystemTime(std::chrono::microseconds(static_cast<std::int64_t>(count)));
  }

  void require(bool truth) {
    if (!truth) refuse();
  }
  /// Everything was read, and nothing was at fault.
  bool done() const { return good_ && rest_.empty(); }

 private:
  std::uint64_t refuse() {
    good_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool good_ = true;
};

// By its looks: the nodes that wrote it are ours, but what is no object, or more than one line,
// would spoil the frame it is spliced into.
bool looks_like_object(std::string_view text) {
  return text.starts_with('{') && text.ends_with('}') && text.find('\n') == std::string_view::npos;
}

Identity read_user(Reader& reader) {
  constexpr auto kLast = static_cast<std::uint8_t>(IdentityType::kNumber);
  const std::uint8_t type = reader.byte();
  reader.require(type <= kLast);
  Identity user{static_cast<IdentityType>(type <= kLast ? type : 0), reader.text()};
  reader.require(validate_identity(user, UserNameRule::kUtf8).ok());
  return user;
}

EntryEvent read_entry(Reader& reader) {
  EntryEvent entry;
  entry.offset = static_cast<std::int64_t>(reader.number(kMaxInteger));
  entry.chain = reader.text();
  entry.id = reader.text();
  entry.epoch = reader.text();
  entry.device = reader.text();
  entry.entry = reader.text();
  entry.stub = reader.text();
  reader.require(entry.offset > 0 && entry.chain.size() == kChainBytes);
  reader.require(entry.id.empty() || entry.id.size() == kEntryIdBytes);
  reader.require(looks_like_object(entry.entry));
  reader.require(entry.stub.empty() || looks_like_object(entry.stub));
  return entry;
}

LooseEvent read_loose(Reader& reader) {
  LooseEvent loose;
  const std::uint8_t kind = reader.byte();
  reader.require(kind <= static_cast<std::uint8_t>(LooseEvent::Kind::kTyping));
  loose.kind = kind == 0 ? LooseEvent::Kind::kReceipt : LooseEvent::Kind::kTyping;
  loose.key = reader.text();
  loose.push = reader.text();
  reader.require(looks_like_object(loose.push));
  return loose;
}

PresenceEvent read_presence(Reader& reader) {
  constexpr std::uint64_t kMostDevices = std::numeric_limits<std::uint32_t>::max();
  PresenceEvent presence;
  presence.node = reader.text();
  presence.version = reader.number();
  presence.devices = static_cast<std::uint32_t>(reader.number(kMostDevices));
  presence.away = static_cast<std::uint32_t>(reader.number(kMostDevices));
  presence.last_seen = reader.time();
  reader.require(!presence.node.empty() && presence.away <= presence.devices);
  return presence;
}

}  // namespace

std::string encode_user_event(const UserEvent& event) {
  Writer writer;
  if (const auto* entry = std::get_if<EntryEvent>(&event.what)) {
    writer.reserve(entry->entry.size() + entry->stub.size() + 512);
  }
  writer.byte(kVersion).text(event.application);
  writer.byte(static_cast<std::uint8_t>(event.user.type)).text(event.user.endpoint);
  std::visit(writer, event.what);
  return writer.take();
}

Result<UserEvent> decode_user_event(std::string_view payload) {
  if (payload.size() > kMaxUserEventBytes) {
    return fail(ErrorCode::kBadRequest, "user event is too long");
  }
  Reader reader(payload);
  UserEvent event;
  reader.require(reader.byte() == kVersion);
  event.application = reader.text();
  reader.require(!event.application.empty());
  event.user = read_user(reader);
  switch (static_cast<Kind>(reader.byte())) {
    case Kind::kEntry:
      event.what = read_entry(reader);
      break;
    case Kind::kLoose:
      event.what = read_loose(reader);
      break;
    case Kind::kPresence:
      event.what = read_presence(reader);
      break;
    case Kind::kPresenceQuery:
      event.what = PresenceQuery{};
      break;
    default:
      reader.require(false);
  }
  if (!reader.done()) return fail(ErrorCode::kBadRequest, "not a user event");
  return event;
}

}  // namespace countersign::protocol
