// A TLS certificate for development: a name-constrained authority signs one certificate for this
// machine's loopback names, and the authority's key is forgotten at once, so that trusting the
// authority trusts nothing else.
// Thread-safety: call from one thread. Source: RFC 5280 section 4.2.1.10 (name constraints).
#ifndef COUNTERSIGN_APP_DEV_CERTIFICATE_H_
#define COUNTERSIGN_APP_DEV_CERTIFICATE_H_

#include <string>

#include "countersign/result.h"

namespace countersign::app {

struct DevCertificate {
  std::string certificate_file;  ///< the certificate and the authority's, PEM
  std::string key_file;          ///< mode 0600
  std::string authority_file;    ///< to be trusted by a browser or `curl --cacert`
};

/// Writes the three files under `directory`, valid for 397 days, for localhost, 127.0.0.1 and ::1.
/// kUnwritableFile, kInternal.
Result<DevCertificate> make_dev_certificate(const std::string& directory);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_DEV_CERTIFICATE_H_
