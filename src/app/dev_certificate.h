// A TLS certificate for development: a name-constrained authority signs one certificate for this
// machine's names, and the authority's key is forgotten at once, so that trusting the authority
// trusts nothing else. Thread-safety: call from one thread. Source: RFC 5280 section 4.2.1.10 (name
// constraints).
#ifndef COUNTERSIGN_APP_DEV_CERTIFICATE_H_
#define COUNTERSIGN_APP_DEV_CERTIFICATE_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "countersign/result.h"

#include "app/dev_names.h"
#include "base/clock.h"

namespace countersign::app {

struct DevCertificate {
  std::string certificate_file;  ///< the certificate and the authority's, PEM
  std::string key_file;          ///< mode 0600
  std::string authority_file;    ///< to be trusted by a browser or `curl --cacert`
  std::vector<DevName> names;    ///< that it is for
  base::SystemTime expires_at;
  std::string authority_sha256;  ///< fingerprint, lower-case hex
  bool made = false;             ///< just now; else it was there
};

/// What stands under `directory` if it can still be used: the three files belong together, are for
/// all of `names`, and live for 30 days more.
std::optional<DevCertificate> find_dev_certificate(const std::string& directory,
                                                   std::span<const DevName> names,
                                                   base::SystemTime now);

/// Writes new files under `directory`, valid for 397 days. The authority is another one each time,
/// and wants to be trusted anew. kUnwritableFile, kInternal.
Result<DevCertificate> make_dev_certificate(const std::string& directory,
                                            std::span<const DevName> names, base::SystemTime now);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_DEV_CERTIFICATE_H_
