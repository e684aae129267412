// Issuer: mints the ticket of a signed-in person.
//
// The ticket names the session in its `session` member and dies with it; it never outlives the
// session's absolute end. With issuing.session_member = false (tickets for another platform)
// nothing in the ticket links it to a session; such tickets are stamped after the identity's
// watermark, and minted only while the store itself still has the session: what a cache remembers
// may have been signed out everywhere since, and the stamp would then lie after that watermark.
//
// `created` has whole seconds. With the member it is the first whole second after the session
// began, if that is later than now: what signed this person out everywhere happened before the
// session began, so the stamp is after it without asking the store. (Of a second such act within
// one second the watermark runs ahead; it does not bind tickets of a live session.)
//
// Thread-safety: every call may be made from any thread. Source: docs/reference/ticket-format.md,
// "The one extension".
#ifndef COUNTERSIGN_ISSUING_ISSUER_H_
#define COUNTERSIGN_ISSUING_ISSUER_H_

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "countersign/identity.h"
#include "countersign/key_ring.h"
#include "countersign/result.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "issuing/identity_mode.h"
#include "sessions/session_service.h"
#include "storage/store.h"

namespace countersign::issuing {

struct IssuerOptions {
  std::string application_key;
  IdentityMode identity = IdentityMode::kUsername;
  std::chrono::seconds lifetime{3600};
  bool session_member = true;
  /// SessionOptions::absolute_limit: tickets end with their session.
  std::chrono::seconds session_limit = std::chrono::hours(12);
};

struct IssuedTicket {
  std::string text;  ///< a credential: never logged
  base::SystemTime expires_at;
  Identity identity;
};

class Issuer {
 public:
  /// @param ring      knows the application; replaceable with set_ring().
  /// @param store     asked for watermarks, only when session_member is false. Outlives the issuer,
  ///                  as do sessions, clock and metrics.
  /// @param sessions  asked whether the session is live, only when session_member is false.
  Issuer(std::shared_ptr<const KeyRing> ring, storage::Store& store,
         sessions::SessionService& sessions, const base::Clock& clock, base::Metrics& metrics,
         IssuerOptions options);

  /// Mints for the account of a live session. Microseconds of CPU and no I/O, unless needs_store().
  /// @param request_id  for the log.
  /// @return kNotSignedIn if the session is at its end or, if needs_store(), ended; kEmailRequired
  /// (see identity_of);
  ///         kBadIdentity; kUnknownKey; kStoreFailed if needs_store().
  Result<IssuedTicket> issue(const storage::SessionView& view, std::string_view request_id);

  /// True if issue() blocks on the store and belongs on a worker.
  bool needs_store() const { return !options_.session_member; }
  /// After secrets were rotated.
  void set_ring(std::shared_ptr<const KeyRing> ring);
  const IssuerOptions& options() const { return options_; }

 private:
  Result<IssuedTicket> mint(const storage::SessionView& view);
  /// `created` of a ticket that names no session.
  Result<std::chrono::sys_seconds> stamp_after_watermark(const storage::SessionView& view,
                                                         const Identity& identity);
  std::shared_ptr<const KeyRing> ring() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const KeyRing> ring_;
  storage::Store& store_;
  sessions::SessionService& sessions_;
  const base::Clock& clock_;
  IssuerOptions options_;
  base::Counter& issued_;
  base::Counter& refused_;
};

}  // namespace countersign::issuing

#endif  // COUNTERSIGN_ISSUING_ISSUER_H_
