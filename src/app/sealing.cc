#include "app/sealing.h"

#include <vector>

#include <sodium.h>

#include "base/encoding.h"

namespace countersign::app {
namespace {

constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

/// Each part with its length, so that no two rows give the same text.
std::string additional_data(std::string_view purpose, std::string_view row, std::string_view key) {
  std::string out;
  for (const auto part : {purpose, row, key}) {
    out += std::to_string(part.size());
    out += ':';
    out += part;
  }
  return out;
}

}  // namespace

Sealer::Sealer(const MasterKey& master_key, std::string_view purpose, base::Random& random)
    : purpose_(purpose), key_id_(master_key.id), random_(random) {
  auto derived =
      base::hmac_sha256(master_key.bytes.bytes(), "countersign/seal/1/" + std::string(purpose));
  key_ = base::SecretBytes(std::span<const std::uint8_t>(derived));
  sodium_memzero(derived.data(), derived.size());
}

std::string Sealer::seal(const base::SecretBytes& secret, std::string_view row) const {
  const auto context = additional_data(purpose_, row, key_id_);
  std::vector<std::uint8_t> out(kNonceBytes + secret.bytes().size() + kTagBytes);
  random_.fill(std::span(out).first(kNonceBytes));
  unsigned long long size = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      out.data() + kNonceBytes, &size, secret.bytes().data(), secret.bytes().size(),
      base::as_bytes(context).data(), context.size(), nullptr, out.data(), key_.bytes().data());
  return base::base64url_encode(out);
}

Result<base::SecretBytes> Sealer::open(std::string_view sealed, std::string_view row,
                                       std::string_view key_id) const {
  const auto mismatch =
      fail(ErrorCode::kMasterKeyMismatch,
           purpose_ + " " + std::string(row) + ": the sealed secret does not open");
  const auto raw = base::base64url_decode(sealed);
  if (key_id != key_id_ || !raw || raw->size() < kNonceBytes + kTagBytes) return mismatch;
  const auto context = additional_data(purpose_, row, key_id_);
  std::vector<std::uint8_t> plain(raw->size() - kNonceBytes - kTagBytes);
  unsigned long long size = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          plain.data(), &size, nullptr, raw->data() + kNonceBytes, raw->size() - kNonceBytes,
          base::as_bytes(context).data(), context.size(), raw->data(), key_.bytes().data()) != 0) {
    return mismatch;
  }
  base::SecretBytes secret{std::span<const std::uint8_t>(plain)};
  sodium_memzero(plain.data(), plain.size());
  return secret;
}

}  // namespace countersign::app
