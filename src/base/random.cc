#include "base/random.h"

#include <cstdlib>
#include <vector>

#include <sodium.h>

#include "base/encoding.h"

namespace countersign::base {

std::string Random::token(std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  fill(raw);
  std::string text = base64url_encode(raw);
  sodium_memzero(raw.data(), raw.size());
  return text;
}

std::uint32_t Random::below(std::uint32_t bound) {
  std::uint32_t value = 0;
  fill(std::span(reinterpret_cast<std::uint8_t*>(&value), sizeof value));
  return static_cast<std::uint32_t>((std::uint64_t{value} * bound) >> 32);
}

SystemRandom::SystemRandom() {
  if (sodium_init() < 0) std::abort();  // without randomness nothing here is safe
}

void SystemRandom::fill(std::span<std::uint8_t> bytes) {
  randombytes_buf(bytes.data(), bytes.size());
}

void SeededRandom::fill(std::span<std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  for (auto& byte : bytes) {  // splitmix64, one output a byte
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    byte = static_cast<std::uint8_t>((z ^ (z >> 31)) >> 32);
  }
}

}  // namespace countersign::base
