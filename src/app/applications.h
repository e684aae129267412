// Applications: the key ring of this server, from two places.
//
// The default application lives in files an operator can see: app.key and app.secret in the data
// directory, or those that application.key and application.secret_file name (a hosted platform's,
// say). Where nodes share the store, and the settings name no file, it lies sealed in the store
// like every other. Further applications, and secrets of the default one that were rotated out but
// still verify, always lie there.
//
// A change made by a command in another process reaches a server through the store's generation.
// Thread-safety: every call may be made from any thread; all but ring() and default_key() block.
#ifndef COUNTERSIGN_APP_APPLICATIONS_H_
#define COUNTERSIGN_APP_APPLICATIONS_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "countersign/key_ring.h"
#include "countersign/result.h"

#include "app/master_key.h"
#include "app/sealing.h"
#include "base/random.h"
#include "config/settings.h"
#include "storage/store.h"

namespace countersign::app {

/// One application as `app list` shows it.
struct ApplicationSummary {
  std::string key;
  std::string name;
  bool is_default = false;
  std::vector<std::string> fingerprints;  ///< active secrets, the minting one first
};

/// A secret that was just made: shown once.
struct NewSecret {
  std::string application_key;
  std::string secret_base64;
  std::string fingerprint;
};

class Applications {
 public:
  /// Reads the default application (making it if the settings name none and there is none) and
  /// those of the store. kUnreadableFile, kUnwritableFile, kBadSecret, kBadSetting,
  /// kMasterKeyMismatch. `store` and `random` outlive this.
  static Result<std::unique_ptr<Applications>> load(const config::Settings& settings,
                                                    const MasterKey& master_key,
                                                    storage::Store& store, base::Random& random);

  std::shared_ptr<const KeyRing> ring() const;
  const std::string& default_key() const { return default_key_; }

  /// Reads everything again if the store's generation has moved. True: the ring is a new one.
  Result<bool> refresh();
  /// Reads everything again (SIGHUP). On failure the old ring stays.
  Result<void> reload();

  Result<std::vector<ApplicationSummary>> list();
  Result<NewSecret> create(const std::string& name, base::SystemTime now);
  /// A new secret mints from now on; the one before it still verifies until it is retired.
  /// kAbsent; kBadState for a default application whose secret file the settings name, because
  /// that file is not ours to write.
  Result<NewSecret> rotate_secret(const std::string& key, base::SystemTime now);
  /// Ends a secret that no longer mints. kAbsent; kBadState for the minting one.
  Result<void> retire_secret(const std::string& key, const std::string& fingerprint);

 private:
  Applications(const config::Settings& settings, const MasterKey& master_key, storage::Store& store,
               base::Random& random);

  Result<void> make_default_in_files();
  Result<void> make_default_in_store();
  Result<KeyRing> build_ring();
  base::SecretBytes random_secret();
  storage::StoredSecret seal(const std::string& key, std::string_view secret_base64, bool minting,
                             base::SystemTime now, std::string fingerprint) const;

  storage::Store& store_;
  base::Random& random_;
  Sealer sealer_;
  enum class DefaultPlace { kOwnFiles, kNamedFile, kStore };
  DefaultPlace default_place_;
  std::string key_file_;
  std::string secret_file_;
  std::string default_key_;
  mutable std::mutex mutex_;
  std::shared_ptr<const KeyRing> ring_;
  std::int64_t generation_ = -1;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_APPLICATIONS_H_
