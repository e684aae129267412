// How the library itself reads a key ring: by MAC states that never leave it.
// Thread-safety: as KeyRing.
#ifndef COUNTERSIGN_TICKET_KEY_RING_ACCESS_H_
#define COUNTERSIGN_TICKET_KEY_RING_ACCESS_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/key_ring.h"

#include "ticket/mac_key.h"

namespace countersign {

struct ActiveSecret {
  std::string fingerprint;
  MacKey key;
};

/// One application with its active secrets, the minting one first.
struct KeyRing::Entry {
  std::string application_key;
  std::string application_key_json;  // the same as the content of a JSON string
  std::vector<ActiveSecret> secrets;
};

struct KeyRing::State {
  std::vector<Entry> entries;    // sorted by application key
  std::size_t most_secrets = 1;  // of any application
};

class KeyRingAccess {
 public:
  using Entry = KeyRing::Entry;

  /// The application, or null.
  static const Entry* find(const KeyRing& ring, std::string_view application_key) noexcept;

  /// Verifies a MAC with every active secret of `entry`, which may be null for an unknown
  /// application. `sign` maps a MacKey to the MAC it gives.
  ///
  /// A failure always costs as many MACs as the ring's busiest application has secrets, so that
  /// its time tells neither whether an application exists nor how many secrets it has.
  template <class Sign>
  static bool verify(const KeyRing& ring, const Entry* entry, std::span<const std::byte> expected,
                     Sign sign) noexcept {
    std::size_t tried = 0;
    if (entry != nullptr) {
      for (const ActiveSecret& secret : entry->secrets) {
        const Mac mac = sign(secret.key);
        if (equal_macs(mac, expected)) return true;
        ++tried;
      }
    }
    for (; tried < ring.state_->most_secrets; ++tried) {
      const Mac mac = sign(dummy_key());
      static_cast<void>(equal_macs(mac, expected));
    }
    return false;
  }

 private:
  static const MacKey& dummy_key() noexcept;
};

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_KEY_RING_ACCESS_H_
