// One-shot digests of OpenSSL, with its failures (no memory, no such digest) made fatal: there is
// no answer to give without them. Thread-safety: pure functions.
#ifndef COUNTERSIGN_TICKET_DIGEST_H_
#define COUNTERSIGN_TICKET_DIGEST_H_

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include <openssl/evp.h>

namespace countersign {

/// @param name  the digest's name at OpenSSL, for instance "SHA256"; its size must be `Size`.
template <std::size_t Size>
std::array<std::byte, Size> digest(const char* name, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> buffer;
  std::size_t size = 0;
  if (EVP_Q_digest(nullptr, name, nullptr, data.data(), data.size(), buffer.data(), &size) != 1 ||
      size != Size) {
    std::abort();
  }
  std::array<std::byte, Size> result;
  for (std::size_t i = 0; i < Size; ++i) result[i] = std::byte{buffer[i]};
  return result;
}

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_DIGEST_H_
