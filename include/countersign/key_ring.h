// The key ring: which applications are known, and the active secrets of each. Several secrets of
// one application may be active at once, so that a secret can be replaced without refusing the
// tickets the old one signed: add the new one, set_minting() it everywhere, and retire the old one
// after the longest lifetime plus twice the skew.
//
// A ring keeps no secret, only the two SHA-256 states that HMAC derives from it (RFC 2104), which
// is what makes minting and verifying fast. They are as sensitive as the secret and are wiped.
//
// Thread-safety: const functions may run concurrently. A server shares
// `std::shared_ptr<const KeyRing>`, and to change anything clones the ring, edits the clone and
// swaps the pointer.
#ifndef COUNTERSIGN_KEY_RING_H_
#define COUNTERSIGN_KEY_RING_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/application_secret.h"
#include "countersign/result.h"

namespace countersign {

class MacKey;

class KeyRing {
 public:
  /// The most secrets that one application may have active at once.
  static constexpr std::size_t kMaxSecretsPerKey = 8;

  KeyRing();
  KeyRing(KeyRing&&) noexcept;
  KeyRing& operator=(KeyRing&&) noexcept;
  ~KeyRing();

  /// A copy to edit. Named, because a ring is key material.
  KeyRing clone() const;

  /// Adds an active secret. The first secret of an application is the one that mints. Adding a
  /// secret that is active already changes nothing.
  /// @param application_key  1-255 printable ASCII characters other than blank, `/` and `:`.
  /// @return kBadSetting for another application key; kLimitExceeded beyond kMaxSecretsPerKey.
  Result<void> add(std::string application_key, ApplicationSecret secret);
  /// Makes this active secret the one that mints.
  /// @return kNotFound if the application has no active secret of this fingerprint.
  Result<void> set_minting(std::string_view application_key, std::string_view fingerprint);
  /// Ends a secret; with the last one the application becomes unknown. If the secret was the one
  /// that mints, the oldest remaining one takes over.
  /// @return kNotFound if the application has no active secret of this fingerprint.
  Result<void> retire(std::string_view application_key, std::string_view fingerprint);

  bool contains(std::string_view application_key) const noexcept;
  bool empty() const noexcept;
  /// All application keys, sorted.
  std::vector<std::string> application_keys() const;
  /// Fingerprints of the application's active secrets, the minting one first; empty if unknown.
  std::vector<std::string> fingerprints(std::string_view application_key) const;

 private:
  friend class KeyRingAccess;
  struct Entry;
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace countersign

#endif  // COUNTERSIGN_KEY_RING_H_
