// The master key: 32 bytes from which every other key of the server is derived.
//
// It stands in a file of its own (mode 0600), is made at the first start and never changes by
// itself. The store remembers its id, so that a server with another key refuses to start.
// Thread-safety: load once at start; reading is thread-safe.
#ifndef COUNTERSIGN_APP_MASTER_KEY_H_
#define COUNTERSIGN_APP_MASTER_KEY_H_

#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/random.h"
#include "base/secret_bytes.h"
#include "storage/store.h"

namespace countersign::app {

/// Under it a store remembers the id of the key it was made with.
inline constexpr std::string_view kMasterKeyIdName = "master_key_id";

struct MasterKey {
  std::string id;  ///< 16 of A-Za-z0-9_-; tells keys apart, tells nothing about them
  base::SecretBytes bytes;
};

/// Reads the file, or makes it if neither it nor a store that was made with one exists.
/// kUnreadableFile, kUnwritableFile; kBadSetting if it does not hold 32 bytes in base64;
/// kMasterKeyMismatch if the store was made with another.
Result<MasterKey> load_master_key(const std::string& path, storage::MetaStore& meta,
                                  base::Random& random);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_MASTER_KEY_H_
