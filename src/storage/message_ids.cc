#include "storage/message_ids.h"

#include <algorithm>
#include <cstddef>

#include "base/encoding.h"

namespace countersign::storage {
namespace {

constexpr std::size_t kIdDigits = 26;

void append_big_endian(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(number >> shift & 0xff);
  }
}

void append_with_length(std::string& out, std::string_view text) {
  append_big_endian(out, text.size(), 4);
  out += text;
}

/// The first `digits` digits, of five bits each.
std::string base32_digits(const base::Sha256& digest, std::size_t digits) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : digest) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 5 && text.size() < digits; count -= 5) {
      text += kAlphabet[bits >> (count - 5) & 31];
    }
    if (text.size() == digits) break;
  }
  return text;
}

}  // namespace

bool identity_before(const Identity& a, const Identity& b) {
  if (a.type != b.type) return a.type < b.type;
  return a.endpoint < b.endpoint;
}

std::vector<Identity> sorted_identities(std::vector<Identity> identities) {
  std::sort(identities.begin(), identities.end(), identity_before);
  identities.erase(std::unique(identities.begin(), identities.end()), identities.end());
  return identities;
}

std::string direct_conversation_id(std::string_view application, std::vector<Identity> members) {
  std::string bytes;
  append_with_length(bytes, application);
  for (const Identity& member : sorted_identities(std::move(members))) {
    append_with_length(bytes, identity_type_name(member.type));
    append_with_length(bytes, member.endpoint);
  }
  return "c-" + base32_digits(base::sha256(bytes), kIdDigits);
}

std::string first_chain() { return std::string(kChainBytes, '\0'); }

std::string next_chain(std::string_view chain, std::string_view message_id, std::int64_t offset) {
  std::string bytes;
  bytes.reserve(chain.size() + message_id.size() + 8);
  bytes += chain;
  bytes += message_id;
  append_big_endian(bytes, static_cast<std::uint64_t>(offset), 8);
  return base::to_string(base::sha256(bytes)).substr(0, kChainBytes);
}

}  // namespace countersign::storage
