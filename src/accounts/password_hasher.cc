#include "accounts/password_hasher.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <sodium.h>

#include "base/encoding.h"
#include "base/log.h"

namespace countersign::accounts {
namespace {

constexpr std::string_view kSealedPrefix = "v1$";
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

// Bounds of stored parameters: beyond them a row could be made to stop the server.
constexpr std::uint64_t kMaxMemoryKib = 1024 * 1024;
constexpr std::uint64_t kMaxPasses = 10;
constexpr std::uint64_t kMaxLanes = 16;

/// What a PHC string says about its own making.
struct Parameters {
  std::string_view algorithm;
  std::uint64_t memory_kib = 0;
  std::uint64_t passes = 0;
  std::uint64_t lanes = 0;
};

/// Takes `prefix` off `text`; false if it does not begin so.
bool take(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_number(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// `$argon2id$v=19$m=…,t=…,p=…$salt$digest`, within the bounds; nothing otherwise.
std::optional<Parameters> read_parameters(std::string_view phc) {
  Parameters parameters;
  if (take(phc, "$argon2id$")) {
    parameters.algorithm = "argon2id";
  } else if (take(phc, "$argon2i$")) {
    parameters.algorithm = "argon2i";
  } else {
    return std::nullopt;
  }
  if (!take(phc, "v=19$m=") || !take_number(phc, parameters.memory_kib) || !take(phc, ",t=") ||
      !take_number(phc, parameters.passes) || !take(phc, ",p=") ||
      !take_number(phc, parameters.lanes) || !take(phc, "$")) {
    return std::nullopt;
  }
  if (parameters.memory_kib > kMaxMemoryKib || parameters.passes > kMaxPasses ||
      parameters.lanes > kMaxLanes) {
    base::log_warning("password_hash_out_of_bounds", {{"memory_kib", parameters.memory_kib},
                                                      {"passes", parameters.passes},
                                                      {"lanes", parameters.lanes}});
    return std::nullopt;
  }
  return parameters;
}

bool reaches_floor(const HashOptions& options) {
  return (options.memory_kib >= 46 * 1024 && options.passes >= 1) ||
         (options.memory_kib >= 19 * 1024 && options.passes >= 2) ||
         (options.memory_kib >= 12 * 1024 && options.passes >= 3);
}

/// Ties a sealed hash to its table, row and key.
std::string additional_data(const base::AccountId& row, std::string_view key_id) {
  std::string data("password_hashes");
  data += '\0';
  data += row.text();
  data += '\0';
  data += key_id;
  return data;
}

const std::uint8_t* bytes_of(std::string_view text) { return base::as_bytes(text).data(); }

/// The password's bytes; an empty one has none, and libsodium wants an address all the same.
const char* characters_of(const base::SecretBytes& password) {
  return password.empty() ? "" : password.view().data();
}

std::string unpadded_base64(std::size_t zero_bytes) {
  std::string text = base::base64_encode(std::vector<std::uint8_t>(zero_bytes));
  while (text.back() == '=') text.pop_back();
  return text;
}

}  // namespace

Result<PasswordHasher> PasswordHasher::create(HashOptions options, std::vector<SealingKey> keys,
                                              base::Random& random) {
  if (!reaches_floor(options)) {
    return fail(
        ErrorCode::kBadSetting,
        "password hashing is below its floor: 19 MiB with 2 passes, 46 MiB with 1 or 12 MiB "
        "with 3");
  }
  if (options.memory_kib > kMaxMemoryKib || options.passes > kMaxPasses) {
    return fail(ErrorCode::kBadSetting, "password hashing is beyond 1 GiB or 10 passes");
  }
  return PasswordHasher(options, std::move(keys), random);
}

PasswordHasher::PasswordHasher(HashOptions options, std::vector<SealingKey> keys,
                               base::Random& random)
    : options_(options), keys_(std::move(keys)), random_(&random), decoy_row_("decoy") {
  // A PHC string that no password matches: the work is that of a real one, and making it costs
  // none.
  decoy_ = seal("$argon2id$v=19$m=" + std::to_string(options_.memory_kib) +
                    ",t=" + std::to_string(options_.passes) + ",p=1$" +
                    unpadded_base64(crypto_pwhash_SALTBYTES) + "$" + unpadded_base64(32),
                decoy_row_);
}

Result<std::string> PasswordHasher::hash(const base::SecretBytes& password,
                                         const base::AccountId& row) const {
  std::array<char, crypto_pwhash_STRBYTES> phc{};
  if (crypto_pwhash_str_alg(phc.data(), characters_of(password), password.view().size(),
                            options_.passes, memory_bytes(), crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return fail(ErrorCode::kOverloaded, "no memory to hash a password");
  }
  std::string sealed = seal(phc.data(), row);
  sodium_memzero(phc.data(), phc.size());
  return sealed;
}

PasswordVerdict PasswordHasher::verify(std::string_view stored, const base::AccountId& row,
                                       const base::SecretBytes& password) const {
  bool current_key = false;
  std::string phc = open(stored, row, current_key);
  const std::optional<Parameters> parameters = read_parameters(phc);
  PasswordVerdict verdict;
  if (parameters) {
    verdict.matches =
        crypto_pwhash_str_verify(phc.c_str(), characters_of(password), password.view().size()) == 0;
    verdict.needs_rehash =
        verdict.matches && (!current_key || parameters->algorithm != "argon2id" ||
                            parameters->memory_kib != options_.memory_kib ||
                            parameters->passes != options_.passes || parameters->lanes != 1);
  }
  base::wipe(phc);
  return verdict;
}

void PasswordHasher::verify_decoy(const base::SecretBytes& password) const {
  static_cast<void>(verify(decoy_, decoy_row_, password));
}

std::string PasswordHasher::seal(std::string_view phc, const base::AccountId& row) const {
  const SealingKey& key = keys_.front();
  const std::string data = additional_data(row, key.id);
  std::vector<std::uint8_t> box(kNonceBytes + phc.size() + kTagBytes);
  random_->fill(std::span(box).first(kNonceBytes));
  crypto_aead_xchacha20poly1305_ietf_encrypt(box.data() + kNonceBytes, nullptr, bytes_of(phc),
                                             phc.size(), bytes_of(data), data.size(), nullptr,
                                             box.data(), key.key.bytes().data());
  return std::string(kSealedPrefix) + key.id + "$" + base::base64url_encode(box);
}

std::string PasswordHasher::open(std::string_view stored, const base::AccountId& row,
                                 bool& current_key) const {
  if (!take(stored, kSealedPrefix)) return std::string(stored);  // an import, not sealed yet
  const std::size_t end = stored.find('$');
  if (end == std::string_view::npos) return {};
  const std::string_view key_id = stored.substr(0, end);
  const auto box = base::base64url_decode(stored.substr(end + 1));
  if (!box || box->size() < kNonceBytes + kTagBytes) return {};
  for (const SealingKey& key : keys_) {
    if (key.id != key_id) continue;
    const std::string data = additional_data(row, key.id);
    std::string phc(box->size() - kNonceBytes - kTagBytes, '\0');
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            reinterpret_cast<std::uint8_t*>(phc.data()), nullptr, nullptr,
            box->data() + kNonceBytes, box->size() - kNonceBytes, bytes_of(data), data.size(),
            box->data(), key.key.bytes().data()) != 0) {
      break;
    }
    current_key = &key == &keys_.front();
    return phc;
  }
  base::log_error("password_hash_not_opened", {{"key_id", key_id}, {"account", row.text()}});
  return {};
}

}  // namespace countersign::accounts
