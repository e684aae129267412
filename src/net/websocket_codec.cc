#include "net/websocket_codec.h"

#include <algorithm>
#include <cstring>

namespace countersign::net {
namespace {

/// Codes that may appear in a close frame (RFC 6455 section 7.4 and the IANA registry).
bool may_be_sent(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

std::uint16_t read_u16(std::string_view bytes) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 |
                                    static_cast<unsigned char>(bytes[1]));
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  const auto continues = [&](int count) {
    if (end - p <= count) return false;
    for (int i = 1; i <= count; ++i) {
      if ((p[i] & 0xc0) != 0x80) return false;
    }
    return true;
  };
  while (p < end) {
    if (end - p >= 8) {  // eight ASCII characters at a time
      std::uint64_t word;
      std::memcpy(&word, p, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        p += 8;
        continue;
      }
    }
    if (*p < 0x80) {
      ++p;
    } else if (*p >= 0xc2 && *p <= 0xdf) {
      if (!continues(1)) return false;
      p += 2;
    } else if (*p >= 0xe0 && *p <= 0xef) {
      if (!continues(2)) return false;
      if (*p == 0xe0 && p[1] < 0xa0) return false;  // longer than needed
      if (*p == 0xed && p[1] > 0x9f) return false;  // surrogates
      p += 3;
    } else if (*p >= 0xf0 && *p <= 0xf4) {
      if (!continues(3)) return false;
      if (*p == 0xf0 && p[1] < 0x90) return false;
      if (*p == 0xf4 && p[1] > 0x8f) return false;  // beyond U+10FFFF
      p += 4;
    } else {
      return false;
    }
  }
  return true;
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
  char header[10];
  std::size_t size = 2;
  header[0] = static_cast<char>(0x80 | static_cast<std::uint8_t>(opcode));
  if (payload.size() < 126) {
    header[1] = static_cast<char>(payload.size());
  } else {
    const bool small = payload.size() <= 0xffff;
    header[1] = small ? 126 : 127;
    const int bytes = small ? 2 : 8;
    for (int i = bytes - 1; i >= 0; --i) {
      header[size++] = static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> (8 * i));
    }
  }
  out.append(header, size);
  out.append(payload);
}

std::string close_payload(std::uint16_t code, std::string_view reason) {
  std::string payload;
  payload.push_back(static_cast<char>(code >> 8));
  payload.push_back(static_cast<char>(code & 0xff));
  payload.append(reason.substr(0, 123));
  return payload;
}

std::uint16_t FrameDecoder::close_code() const {
  return payload_.size() < 2 ? std::uint16_t{1005} : read_u16(payload_);
}

FrameDecoder::Event FrameDecoder::fail(const char* why) {
  failure_ = why;
  return Event::kFailure;
}

/// Collects the header; false while it is incomplete.
bool FrameDecoder::read_header(std::span<char>& input) {
  for (;;) {
    std::size_t wanted = 2;
    if (header_have_ >= 2) {
      const unsigned length = header_[1] & 0x7fu;
      wanted += length == 126 ? 2 : length == 127 ? 8 : 0;
      if ((header_[1] & 0x80) != 0) wanted += 4;
    }
    if (header_have_ == wanted && header_have_ >= 2) return true;
    const std::size_t take = std::min(wanted - header_have_, input.size());
    if (take == 0) return false;
    std::memcpy(header_.data() + header_have_, input.data(), take);
    header_have_ = static_cast<std::uint8_t>(header_have_ + take);
    input = input.subspan(take);
  }
}

/// Judges a complete header. kMore means: go on with the payload.
FrameDecoder::Event FrameDecoder::begin_frame() {
  fin_ = (header_[0] & 0x80) != 0;
  opcode_ = header_[0] & 0x0f;
  if ((header_[0] & 0x70) != 0) return fail("reserved bit set");
  if ((header_[1] & 0x80) == 0) return fail("frame is not masked");
  std::uint64_t length = header_[1] & 0x7f;
  std::size_t at = 2;
  if (length >= 126) {
    const int bytes = length == 126 ? 2 : 8;
    const std::uint64_t shortest = length == 126 ? 126 : 0x10000;
    length = 0;
    for (int i = 0; i < bytes; ++i) length = length << 8 | header_[at++];
    if (length < shortest) return fail("length is not in its shortest form");
  }
  std::memcpy(mask_.data(), header_.data() + at, 4);
  mask_phase_ = 0;

  if (is_control()) {
    if (opcode_ > 10) return fail("unknown opcode");
    if (!fin_) return fail("control frame is fragmented");
    if (length > 125) return fail("control frame is too long");
    if (opcode_ == 8 && length == 1) return fail("close frame with half a code");
  } else {
    if (opcode_ == static_cast<std::uint8_t>(Opcode::kBinary)) return fail("binary frame");
    if (opcode_ > 2) return fail("unknown opcode");
    if (in_message_ != (opcode_ == 0)) return fail("fragments out of order");
    if (length > max_message_bytes_ - message_.size()) return fail("message is too long");
  }
  remaining_ = static_cast<std::uint32_t>(length);
  return Event::kMore;
}

void FrameDecoder::unmask(std::span<char> bytes) {
  std::uint64_t wide = 0;
  std::array<char, 8> key{};
  for (std::size_t i = 0; i < 8; ++i) {
    key[i] = static_cast<char>(mask_[(mask_phase_ + i) & 3]);
  }
  std::memcpy(&wide, key.data(), 8);
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    word ^= wide;
    std::memcpy(bytes.data() + i, &word, 8);
  }
  for (; i < bytes.size(); ++i) bytes[i] = static_cast<char>(bytes[i] ^ key[i & 7]);
  mask_phase_ = static_cast<std::uint8_t>((mask_phase_ + bytes.size()) & 3);
}

FrameDecoder::Event FrameDecoder::next(std::span<char>& input) {
  if (failure_ != nullptr) return Event::kFailure;
  payload_ = {};
  // What the last event pointed to is no longer needed; give its memory back.
  if (!in_message_ && !in_payload_) std::string().swap(message_);
  if (!(in_payload_ && is_control())) std::string().swap(control_);

  for (;;) {
    if (!in_payload_) {
      if (!read_header(input)) return Event::kMore;
      header_have_ = 0;
      if (begin_frame() == Event::kFailure) return Event::kFailure;
      in_payload_ = true;
    }
    const std::size_t take = std::min<std::size_t>(remaining_, input.size());
    const auto bytes = input.subspan(0, take);
    input = input.subspan(take);
    unmask(bytes);
    remaining_ -= static_cast<std::uint32_t>(take);

    std::string& kept = is_control() ? control_ : message_;
    if (remaining_ == 0 && kept.empty() && (fin_ || is_control())) {
      payload_ = std::string_view(bytes.data(), bytes.size());  // whole: no copy
    } else {
      kept.append(bytes.data(), bytes.size());
      payload_ = kept;
    }
    if (remaining_ > 0) return Event::kMore;
    in_payload_ = false;
    const Event event = finish_frame();
    if (event != Event::kMore) return event;
  }
}

/// The payload of a frame is complete. kMore means: it was a fragment, go on.
FrameDecoder::Event FrameDecoder::finish_frame() {
  switch (static_cast<Opcode>(opcode_)) {
    case Opcode::kPing:
      return Event::kPing;
    case Opcode::kPong:
      return Event::kPong;
    case Opcode::kClose:
      if (payload_.size() >= 2) {
        if (!may_be_sent(close_code())) return fail("close code that must not be sent");
        if (!is_valid_utf8(payload_.substr(2))) return fail("close reason is not UTF-8");
      }
      return Event::kClose;
    default:
      in_message_ = !fin_;
      if (in_message_) return Event::kMore;
      if (!is_valid_utf8(payload_)) return fail("text is not UTF-8");
      return Event::kText;
  }
}

}  // namespace countersign::net
