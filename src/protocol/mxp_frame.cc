#include "protocol/mxp_frame.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include <openssl/evp.h>

#include "ticket/base64.h"

namespace countersign::protocol {
namespace {

constexpr std::string_view kHead = "10 ";
constexpr std::size_t kBlock = 16;
// What the SDK lets a frame have for its payload and its two names.
constexpr std::size_t kCut = 1'485;
constexpr std::size_t kMaxMarkDigits = 10;

struct CipherGone {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, CipherGone>;

const EVP_CIPHER* cipher_for(std::string_view key) {
  if (key.size() == 16) return EVP_aes_128_cbc();
  if (key.size() == 32) return EVP_aes_256_cbc();
  return nullptr;
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

auto bad(std::string_view what) { return fail(ErrorCode::kBadRequest, std::string(what)); }

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxMxpNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool is_base64(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
  });
}

// A small whole number, written in one way only.
std::optional<std::uint32_t> read_number(std::string_view text) {
  if (!is_digits(text) || text.size() > 3 || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  std::uint32_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Up to the next blank, which goes too.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace

Result<MxpFrame> parse_mxp_frame(std::string_view text) {
  if (text.size() > kMaxMxpFrameBytes) return fail(ErrorCode::kMessageTooLarge, "frame");
  if (!text.starts_with(kHead) || text.ends_with(' ')) return bad("frame");
  text.remove_prefix(kHead.size());
  MxpFrame frame;
  frame.session = take_word(text);
  frame.mark = take_word(text);
  const auto index = read_number(take_word(text));
  const auto count = read_number(take_word(text));
  frame.payload = take_word(text);
  frame.transport = text;
  if (!is_name(frame.session) || !index || !count || !is_base64(frame.payload)) return bad("frame");
  if (!frame.transport.empty() && !is_name(frame.transport)) return bad("transport");
  frame.index = *index;
  frame.count = *count;
  const bool whole = frame.mark == "-";
  if (!whole && (!is_digits(frame.mark) || frame.mark.size() > kMaxMarkDigits)) return bad("mark");
  if (frame.count == 0 || frame.index >= frame.count || whole != (frame.count == 1)) {
    return bad("parts");
  }
  if (frame.count > kMaxMxpParts) return fail(ErrorCode::kMessageTooLarge, "parts");
  return frame;
}

std::string encode_mxp_frame(const MxpFrame& frame) {
  std::string out(kHead);
  out.append(frame.session).append(" ").append(frame.mark).append(" ");
  out.append(std::to_string(frame.index)).append(" ").append(std::to_string(frame.count));
  out.append(" ").append(frame.payload);
  if (!frame.transport.empty()) out.append(" ").append(frame.transport);
  return out;
}

std::vector<std::string> split_mxp_payload(std::string_view session, std::string_view transport,
                                           std::string_view payload, std::uint32_t mark) {
  const std::size_t part = kCut - std::min(kCut - 1, session.size() + transport.size());
  const std::size_t count = std::max<std::size_t>(1, (payload.size() + part - 1) / part);
  std::vector<std::string> frames;
  frames.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    frames.push_back(
        encode_mxp_frame({std::string(session), count == 1 ? "-" : std::to_string(mark),
                          static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(count),
                          std::string(payload.substr(i * part, part)), std::string(transport)}));
  }
  return frames;
}

Result<std::string> encrypt_mxp(std::string_view key, const MxpIv& iv, std::string_view text) {
  const EVP_CIPHER* const cipher = cipher_for(key);
  const Cipher context(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || !context) return bad("key length");
  std::string out(iv.begin(), iv.end());
  out.resize(kBlock + text.size() + kBlock);
  int written = 0, rest = 0;
  if (EVP_EncryptInit_ex(context.get(), cipher, nullptr, bytes(key), iv.data()) != 1 ||
      EVP_EncryptUpdate(context.get(), bytes(out) + kBlock, &written, bytes(text),
                        static_cast<int>(text.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), bytes(out) + kBlock + written, &rest) != 1) {
    return fail(ErrorCode::kInternal, "AES");
  }
  out.resize(kBlock + static_cast<std::size_t>(written + rest));
  return base64::encode(base64::Variant::kStandard, out);
}

Result<std::string> decrypt_mxp(std::string_view key, std::string_view payload) {
  const EVP_CIPHER* const cipher = cipher_for(key);
  const Cipher context(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || !context) return bad("key length");
  if (payload.size() > kMaxMxpPayloadBytes) return fail(ErrorCode::kMessageTooLarge, "payload");
  const auto sealed = base64::decode(base64::Variant::kStandard, payload);
  if (!sealed || sealed->size() < 2 * kBlock || sealed->size() % kBlock != 0) return bad("payload");
  const std::string_view body = std::string_view(*sealed).substr(kBlock);
  std::string out(body.size() + kBlock, '\0');
  int written = 0, rest = 0;
  if (EVP_DecryptInit_ex(context.get(), cipher, nullptr, bytes(key), bytes(*sealed)) != 1 ||
      EVP_DecryptUpdate(context.get(), bytes(out), &written, bytes(body),
                        static_cast<int>(body.size())) != 1 ||
      EVP_DecryptFinal_ex(context.get(), bytes(out) + written, &rest) != 1) {
    return bad("payload under another key");
  }
  out.resize(static_cast<std::size_t>(written) + static_cast<std::size_t>(rest));
  return out;
}

}  // namespace countersign::protocol
