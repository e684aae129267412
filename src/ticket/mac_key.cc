// The low-level SHA256_* calls are deprecated in OpenSSL 3 but present and not slower: through EVP
// one MAC costs 1.4 to 5 times as much.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "ticket/mac_key.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

namespace countersign {
namespace {

constexpr std::size_t kBlockBytes = SHA256_CBLOCK;

// A context as it stands after one block was hashed and gave `state`.
void resume_after_one_block(SHA256_CTX& context,
                            const std::array<unsigned int, 8>& state) noexcept {
  std::memcpy(context.h, state.data(), sizeof(context.h));
  context.Nl = kBlockBytes * 8;
  context.Nh = 0;
  context.num = 0;
  context.md_len = SHA256_DIGEST_LENGTH;
}

std::array<unsigned int, 8> state_after(
    const std::array<unsigned char, kBlockBytes>& block) noexcept {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block.data(), block.size());
  std::array<unsigned int, 8> state{};
  std::memcpy(state.data(), context.h, sizeof(context.h));
  OPENSSL_cleanse(&context, sizeof(context));
  return state;
}

}  // namespace

MacKey::MacKey(std::span<const std::byte> key) noexcept {
  std::array<unsigned char, kBlockBytes> block{};
  if (key.size() > kBlockBytes) {
    SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), block.data());
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  for (unsigned char& byte : block) byte ^= 0x36U;
  inner_ = state_after(block);
  for (unsigned char& byte : block) byte ^= 0x36U ^ 0x5cU;
  outer_ = state_after(block);
  OPENSSL_cleanse(block.data(), block.size());
}

MacKey::~MacKey() {
  OPENSSL_cleanse(inner_.data(), sizeof(inner_));
  OPENSSL_cleanse(outer_.data(), sizeof(outer_));
}

Mac MacKey::sign(std::span<const std::byte> message) const noexcept {
  Mac mac;
  auto* const digest = reinterpret_cast<unsigned char*>(mac.data());
  // One context for both passes. Each pass overwrites the copied state with its own result, so
  // nothing that depends on the key alone is left on the stack.
  SHA256_CTX context;
  resume_after_one_block(context, inner_);
  SHA256_Update(&context, message.data(), message.size());
  SHA256_Final(digest, &context);
  resume_after_one_block(context, outer_);
  SHA256_Update(&context, digest, SHA256_DIGEST_LENGTH);
  SHA256_Final(digest, &context);
  return mac;
}

bool equal_macs(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  if (a.size() == sizeof(Mac) && b.size() == sizeof(Mac)) {
    std::array<std::uint64_t, 4> x;
    std::array<std::uint64_t, 4> y;
    std::memcpy(x.data(), a.data(), sizeof(x));
    std::memcpy(y.data(), b.data(), sizeof(y));
    std::uint64_t difference = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]);
    // The compiler must not see through the sum and branch on a part of it.
    asm volatile("" : "+r"(difference));
    return difference == 0;
  }
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Mac reference_hmac(std::span<const std::byte> key, std::span<const std::byte> message) {
  Mac mac{};
  std::size_t size = 0;
  // An empty key must still be a pointer: null means "no key set" to EVP.
  const unsigned char* const key_bytes = key.empty()
                                             ? reinterpret_cast<const unsigned char*>("")
                                             : reinterpret_cast<const unsigned char*>(key.data());
  const unsigned char* const done =
      EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key_bytes, key.size(),
                reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                reinterpret_cast<unsigned char*>(mac.data()), mac.size(), &size);
  if (done == nullptr || size != mac.size()) std::abort();  // only without memory or SHA-256
  return mac;
}

}  // namespace countersign
