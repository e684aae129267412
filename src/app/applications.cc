#include "app/applications.h"

#include <algorithm>
#include <array>
#include <optional>

#include <sodium.h>

#include "app/files.h"
#include "app/store_choice.h"
#include "base/encoding.h"

namespace countersign::app {
namespace {

constexpr std::size_t kSecretBytes = 32;
/// Under it the store remembers the default application's key.
constexpr std::string_view kDefaultKeyName = "default_application";

std::string row_name(const std::string& key, const std::string& fingerprint) {
  return key + "/" + fingerprint;
}

/// A random UUID (RFC 9562, version 4), lower case.
std::string random_application_key(base::Random& random) {
  std::array<std::uint8_t, 16> bytes{};
  random.fill(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text = base::hex_encode(bytes);
  for (const std::size_t at : {20, 16, 12, 8}) text.insert(at, "-");
  return text;
}

Result<ApplicationSecret> decode(std::string_view base64, const std::string& where) {
  auto secret = ApplicationSecret::from_base64(base64);
  if (!secret) {
    return fail(ErrorCode::kBadSecret, where + ": the secret is not base64 of at least 16 bytes");
  }
  return secret;
}

}  // namespace

Applications::Applications(const config::Settings& settings, const MasterKey& master_key,
                           storage::Store& store, base::Random& random)
    : store_(store),
      random_(random),
      sealer_(master_key, "application_secrets", random),
      default_place_(!settings.application_secret_file.empty() ? DefaultPlace::kNamedFile
                     : store_is_shared(settings)               ? DefaultPlace::kStore
                                                               : DefaultPlace::kOwnFiles),
      key_file_(settings.data_dir + "/app.key"),
      secret_file_(default_place_ == DefaultPlace::kNamedFile ? settings.application_secret_file
                                                              : settings.data_dir + "/app.secret"),
      default_key_(settings.application_key) {}

Result<std::unique_ptr<Applications>> Applications::load(const config::Settings& settings,
                                                         const MasterKey& master_key,
                                                         storage::Store& store,
                                                         base::Random& random) {
  std::unique_ptr<Applications> all(new Applications(settings, master_key, store, random));
  if (all->default_place_ == DefaultPlace::kOwnFiles) {
    if (auto made = all->make_default_in_files(); !made) return made.failure();
  } else if (all->default_place_ == DefaultPlace::kStore) {
    if (auto made = all->make_default_in_store(); !made) return made.failure();
  }
  if (auto loaded = all->reload(); !loaded) return loaded.failure();
  return all;
}

Result<void> Applications::make_default_in_files() {
  const bool have_key = file_exists(key_file_);
  const bool have_secret = file_exists(secret_file_);
  if (have_key != have_secret) {
    return fail(ErrorCode::kUnreadableFile,
                (have_key ? secret_file_ : key_file_) +
                    ": is missing, and its partner is there; put it back, or remove both for a "
                    "new application");
  }
  if (!have_key) {
    // The key goes last: a start that ends between the two finds neither usable and says so.
    auto secret = random_secret();
    std::string line(secret.view());
    line += '\n';
    auto written = write_private_file(secret_file_, line);
    base::wipe(line);
    if (!written) return written.failure();
    written = write_private_file(key_file_, random_application_key(random_) + "\n");
    if (!written) return written.failure();
  }
  auto key = read_small_file(key_file_);
  if (!key) return key.failure();
  default_key_ = std::move(*key);
  return {};
}

Result<void> Applications::make_default_in_store() {
  // Of nodes that start for the first time at once one names the key and one makes the secret; a
  // start that ends between the two is completed by the next.
  auto key = store_.meta().set_if_absent(kDefaultKeyName, random_application_key(random_));
  if (!key) return key.failure();
  default_key_ = std::move(*key);
  const auto secrets = store_.applications().list_secrets();
  if (!secrets) return secrets.failure();
  if (std::ranges::find(*secrets, default_key_, &storage::StoredSecret::application_key) !=
      secrets->end()) {
    return {};
  }
  const auto now = store_.now();
  if (!now) return now.failure();
  const auto secret = random_secret();
  const auto decoded = decode(secret.view(), "a new secret");
  if (!decoded) return decoded.failure();
  const auto row = seal(default_key_, secret.view(), true, *now, decoded->fingerprint());
  const storage::StoredApplication application{default_key_, "default", *now};
  if (auto made = store_.applications().create_application(application, row);
      !made && made.code() != ErrorCode::kAlreadyExists) {
    return made.failure();
  }
  return {};
}

base::SecretBytes Applications::random_secret() {
  std::array<std::uint8_t, kSecretBytes> bytes{};
  random_.fill(bytes);
  std::string text = base::base64_encode(bytes);
  base::SecretBytes secret{std::string_view(text)};
  base::wipe(text);
  sodium_memzero(bytes.data(), bytes.size());
  return secret;
}

Result<KeyRing> Applications::build_ring() {
  KeyRing ring;
  if (default_place_ != DefaultPlace::kStore) {
    auto text = read_small_file(secret_file_);
    if (!text) return text.failure();
    auto secret = decode(*text, secret_file_);
    base::wipe(*text);
    if (!secret) return secret.failure();
    if (auto added = ring.add(default_key_, std::move(*secret)); !added) {
      return fail(added.code(), "application.key: " + added.error().detail);
    }
  }
  const auto stored = store_.applications().list_secrets();
  if (!stored) return stored.failure();
  for (const auto& row : *stored) {
    const auto opened =
        sealer_.open(row.sealed, row_name(row.application_key, row.fingerprint), row.key_id);
    if (!opened) return opened.failure();
    auto decoded = decode(opened->view(), "the store's secret " + row.fingerprint);
    if (!decoded) return decoded.failure();
    if (auto added = ring.add(row.application_key, std::move(*decoded)); !added) {
      return added.failure();
    }
    if (row.minting) {
      if (auto set = ring.set_minting(row.application_key, row.fingerprint); !set) {
        return set.failure();
      }
    }
  }
  return ring;
}

std::shared_ptr<const KeyRing> Applications::ring() const {
  const std::lock_guard lock(mutex_);
  return ring_;
}

Result<void> Applications::reload() {
  const auto generation = store_.applications().generation();  // before the rows: never too new
  if (!generation) return generation.failure();
  auto ring = build_ring();
  if (!ring) return ring.failure();
  const std::lock_guard lock(mutex_);
  ring_ = std::make_shared<const KeyRing>(std::move(*ring));
  generation_ = *generation;
  return {};
}

Result<bool> Applications::refresh() {
  const auto generation = store_.applications().generation();
  if (!generation) return generation.failure();
  {
    const std::lock_guard lock(mutex_);
    if (*generation == generation_) return false;
  }
  if (auto loaded = reload(); !loaded) return loaded.failure();
  return true;
}

Result<std::vector<ApplicationSummary>> Applications::list() {
  const auto stored = store_.applications().list_applications();
  if (!stored) return stored.failure();
  const auto now = ring();
  std::vector<ApplicationSummary> all;
  all.push_back({default_key_, "default", true, now->fingerprints(default_key_)});
  for (const auto& row : *stored) {
    if (row.key == default_key_) continue;  // it lies in the store, and came first
    all.push_back({row.key, row.name, false, now->fingerprints(row.key)});
  }
  return all;
}

storage::StoredSecret Applications::seal(const std::string& key, std::string_view secret_base64,
                                         bool minting, base::SystemTime now,
                                         std::string fingerprint) const {
  storage::StoredSecret row;
  row.application_key = key;
  row.sealed = sealer_.seal(base::SecretBytes(secret_base64), row_name(key, fingerprint));
  row.fingerprint = std::move(fingerprint);
  row.key_id = sealer_.key_id();
  row.minting = minting;
  row.created = now;
  return row;
}

Result<NewSecret> Applications::create(const std::string& name, base::SystemTime now) {
  const auto secret = random_secret();
  const auto decoded = decode(secret.view(), "a new secret");
  if (!decoded) return decoded.failure();
  const storage::StoredApplication application{random_application_key(random_), name, now};
  const auto row = seal(application.key, secret.view(), true, now, decoded->fingerprint());
  if (auto made = store_.applications().create_application(application, row); !made) {
    return made.failure();
  }
  if (auto loaded = reload(); !loaded) return loaded.failure();
  return NewSecret{application.key, std::string(secret.view()), decoded->fingerprint()};
}

Result<NewSecret> Applications::rotate_secret(const std::string& key, base::SystemTime now) {
  const auto secret = random_secret();
  const auto decoded = decode(secret.view(), "a new secret");
  if (!decoded) return decoded.failure();
  if (key == default_key_ && default_place_ != DefaultPlace::kStore) {
    if (default_place_ == DefaultPlace::kNamedFile) {
      return fail(ErrorCode::kBadState,
                  "application.secret_file is the operator's: write the new secret there and send "
                  "SIGHUP");
    }
    auto old_text = read_small_file(secret_file_);
    if (!old_text) return old_text.failure();
    const auto old_secret = decode(*old_text, secret_file_);
    if (!old_secret) return old_secret.failure();
    const auto row = seal(key, *old_text, false, now, old_secret->fingerprint());
    base::wipe(*old_text);
    // Kept for verifying before the file changes, so that no ticket is refused in between.
    // It may stand there already: an earlier rotation ended between the two steps, or an older file
    // was put back.
    if (auto kept = store_.applications().add_secret(row);
        !kept && kept.code() != ErrorCode::kAlreadyExists) {
      return kept.failure();
    }
    std::string line(secret.view());
    line += '\n';
    auto written = write_private_file(secret_file_, line);
    base::wipe(line);
    if (!written) return written.failure();
    if (auto raised = store_.applications().raise_generation(); !raised) return raised.failure();
  } else {
    if (!ring()->contains(key)) return fail(ErrorCode::kAbsent, "no application " + key);
    const auto row = seal(key, secret.view(), true, now, decoded->fingerprint());
    if (auto added = store_.applications().add_secret(row); !added) return added.failure();
  }
  if (auto loaded = reload(); !loaded) return loaded.failure();
  return NewSecret{key, std::string(secret.view()), decoded->fingerprint()};
}

Result<void> Applications::retire_secret(const std::string& key, const std::string& fingerprint) {
  const auto active = ring()->fingerprints(key);
  if (std::ranges::find(active, fingerprint) == active.end()) {
    return fail(ErrorCode::kAbsent, "application " + key + " has no secret " + fingerprint);
  }
  if (active.front() == fingerprint) {
    return fail(ErrorCode::kBadState, "the secret " + fingerprint + " mints; rotate it first");
  }
  if (auto removed = store_.applications().remove_secret(key, fingerprint); !removed) {
    return removed.failure();
  }
  return reload();
}

}  // namespace countersign::app
