// What the store keeps. Plain values, no behaviour.
// Thread-safety: value types.
#ifndef COUNTERSIGN_STORAGE_RECORDS_H_
#define COUNTERSIGN_STORAGE_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "countersign/identity.h"

#include "base/clock.h"
#include "base/ids.h"

namespace countersign::storage {

using base::AccountId;
using base::InstanceId;
using base::SessionHandle;
using base::SystemTime;

/// A person of our own store.
struct Account {
  AccountId id;
  std::string user_name;             ///< as typed, NFC: the stored spelling, which tickets carry
  std::string user_name_key;         ///< folded; unique
  std::optional<std::string> email;  ///< as typed, domain as A-labels
  /// Folded address; set only for the account that owns the address (unique).
  std::optional<std::string> email_key;
  /// Folded address of every account that gave one; several may hold the same.
  std::optional<std::string> email_lookup;
  bool email_confirmed = false;
  bool disabled = false;
  std::uint32_t epoch = 0;  ///< raised by password change, "sign out everywhere", disabling
  SystemTime created;
};

/// A sign-in session: the cookie session of the pages.
struct SignInSession {
  std::string id_hash;  ///< SHA-256 of the cookie's id, 32 raw bytes; the id itself is not stored
  SessionHandle handle;
  AccountId account;
  SystemTime created;
  SystemTime last_seen;
  SystemTime authenticated;  ///< when the last full proof was given
  std::string factors;       ///< comma-separated: "password"
  std::string address_prefix;
  std::string agent;        ///< family of the browser, for the list of sessions
  std::uint32_t epoch = 0;  ///< the account's epoch when it began; lower than now: dead
};

/// A session together with the account behind it: one indexed read.
struct SessionView {
  SignInSession session;
  Account account;
};

/// Failures counted under one throttle key. All times are wall-clock.
struct ThrottleCounter {
  std::uint32_t failures = 0;  ///< meaning is the throttle's; the store only keeps it
  SystemTime window_start;
  SystemTime last_failure;
  SystemTime blocked_until;
};

/// A browser that signed in to an account before. Its token is stored hashed.
struct KnownDevice {
  std::string token_hash;  ///< SHA-256, 32 raw bytes
  AccountId account;
  std::uint32_t failures = 0;
  SystemTime created;
};

/// One signed-in client at the gateway. Its secret is derived, never stored.
struct Instance {
  InstanceId id;
  std::string application_key;
  Identity identity;
  std::string device;
  std::optional<SessionHandle> session;  ///< of the ticket it was last given
  std::uint32_t generation = 1;          ///< input of the secret's derivation
  std::string key_id;                    ///< master key the secret is derived from
  SystemTime ticket_created;             ///< of the ticket it was last given
  SystemTime created;
  SystemTime expires;
};

/// A ticket as a device shows it. Noted with the instance it makes or prolongs, it is good for that
/// device only.
struct PresentedTicket {
  std::string digest;  ///< names the ticket: SHA-256 of its MAC, 32 raw bytes
  std::string device;  ///< who shows it; empty: nobody in particular
  SystemTime expires;  ///< from then on no verifier takes it: created, lifetime and skew
  // The bounds are the caller's, as that of an identity's instances is.
  std::size_t max_noted = 100'000;            ///< of all identities
  std::size_t max_noted_of_identity = 1'000;  ///< of the one that the ticket names
};

/// What a revocation ends.
enum class RevocationScope : std::uint8_t {
  kSession = 1,  ///< everything made from one sign-in session
  /// Every instance of an identity, and its tickets without a session up to `time`. Sessions are
  /// ended by the act itself: a session's ticket is judged by its session alone.
  kIdentity = 2,
  kInstance = 3,  ///< one instance
};

/// One row of the revocation log. Ids are dense and come from a locked head row, so that
/// "everything after the last one I saw" never skips one.
struct Revocation {
  std::int64_t id = 0;
  RevocationScope scope = RevocationScope::kSession;
  SessionHandle session;        ///< for kSession
  std::string application_key;  ///< for kIdentity
  Identity identity;            ///< for kIdentity
  InstanceId instance;          ///< for kInstance
  std::string reason;           ///< fixed word: sign_out, password_change, disabled, operator, …
  SystemTime time;
};

/// An application besides the default one, which lives in files.
struct StoredApplication {
  std::string key;   ///< the public application key
  std::string name;  ///< for people
  SystemTime created;
};

/// An application secret at rest: sealed, never in clear. The default application's retired secrets
/// stand here too while they still verify.
struct StoredSecret {
  std::string application_key;
  std::string fingerprint;  ///< ApplicationSecret::fingerprint(); unique within the application
  std::string sealed;       ///< XChaCha20-Poly1305, AAD = table, row and key id
  std::string key_id;       ///< master key it is sealed with
  bool minting = false;     ///< at most one of an application
  SystemTime created;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_RECORDS_H_
