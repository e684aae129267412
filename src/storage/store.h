// The store: durable state behind small interfaces, one for each thing that is kept.
//
// Every call blocks until it is done and is made from a worker thread, never from a shard. A write
// that returns success is committed (fsynced); concurrent writes share one commit. Reads see every
// write that was acknowledged before they began.
//
// Errors of every call: kStoreFailed (temporary; the outcome of a write is unknown), kStoreFull (a
// write was refused, nothing changed), kOverloaded (too many writes wait, nothing changed). Others
// are named at the call. A record that another one needs and that is missing is kAbsent; an id that
// is in use is kAlreadyExists.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_STORAGE_STORE_H_
#define COUNTERSIGN_STORAGE_STORE_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/callback_store.h"
#include "storage/classic_store.h"
#include "storage/message_store.h"
#include "storage/records.h"

namespace countersign::storage {

/// People and their password hashes (kept in a table of their own).
class AccountStore {
 public:
  virtual ~AccountStore() = default;

  /// Inserts the account and its password hash (a PHC string) in one transaction.
  /// The unique keys decide races: kNameTaken; kEmailRefused if `email_key` is set and owned by
  /// another account.
  virtual Result<void> create_account(const Account& account, std::string_view password_hash) = 0;
  virtual Result<std::optional<Account>> find_account(const AccountId& id) = 0;
  virtual Result<std::optional<Account>> find_account_by_name(std::string_view user_name_key) = 0;
  /// Accounts that hold the address: the one that owns it first, then the oldest first; at most
  /// `limit`.
  virtual Result<std::vector<Account>> find_accounts_by_email(std::string_view email_lookup,
                                                              std::size_t limit) = 0;
  /// Accounts ordered by `user_name_key`, strictly after `after_key`, at most `limit`.
  virtual Result<std::vector<Account>> list_accounts(std::string_view after_key,
                                                     std::size_t limit) = 0;
  /// kAbsent if there is no such account.
  virtual Result<std::string> get_password_hash(const AccountId& id) = 0;
  /// Replaces the hash only while it still equals `old_hash` (rehash after a sign-in). False: it
  /// had changed; nothing was written. The epoch stays.
  virtual Result<bool> rehash_password(const AccountId& id, std::string_view old_hash,
                                       std::string_view new_hash) = 0;
  /// Sets a new hash while the old one is still `old_hash`, raises the epoch, moves the session
  /// `keep` to the new epoch, ends every other session, forgets all known devices, and writes the
  /// revocations: one transaction. False: the hash had changed.
  virtual Result<bool> change_password(const AccountId& id, std::string_view old_hash,
                                       std::string_view new_hash, const SessionHandle& keep,
                                       SystemTime now) = 0;
  /// Disables (raising the epoch, ending every session, revoking `identities`) or enables.
  /// Each row of `identities` is written with the later of its own time and `now`, and with the
  /// reason of the act if it has none; so also in sign_out_everywhere(). kAbsent.
  virtual Result<void> set_disabled(const AccountId& id, bool disabled,
                                    std::span<const Revocation> identities, SystemTime now) = 0;
  /// Ends every session, raises the epoch and writes `identities` as revocations: "sign out
  /// everywhere". Returns how many sessions ended. kAbsent.
  virtual Result<std::size_t> sign_out_everywhere(const AccountId& id,
                                                  std::span<const Revocation> identities,
                                                  std::string_view reason, SystemTime now) = 0;
  /// Accounts whose address is not confirmed. For the warning at start.
  virtual Result<std::size_t> count_unconfirmed() = 0;
};

/// Sign-in sessions.
class SessionStore {
 public:
  virtual ~SessionStore() = default;

  /// Inserts the session. If the account then has more than `max_sessions` live ones, the oldest
  /// end (with revocations) in the same transaction; their handles are returned.
  virtual Result<std::vector<SessionHandle>> create_session(const SignInSession& session,
                                                            std::size_t max_sessions) = 0;
  /// The session and its account, or nothing. The caller judges limits and epoch.
  virtual Result<std::optional<SessionView>> find_session(std::string_view id_hash) = 0;
  virtual Result<std::optional<SessionView>> find_session_by_handle(
      const SessionHandle& handle) = 0;
  /// Notes activity: last_seen = max(last_seen, seen). Unknown handles are passed over.
  virtual Result<void> touch_sessions(std::span<const SessionHandle> handles, SystemTime seen) = 0;
  /// Gives the session a new id (after a password change). kAbsent.
  virtual Result<void> renew_session(const SessionHandle& handle, std::string_view new_id_hash,
                                     SystemTime authenticated) = 0;
  /// Deletes the session, the instances made from it, and writes its revocation: one transaction.
  /// False if there was none (nothing is written then).
  virtual Result<bool> end_session(const SessionHandle& handle, std::string_view reason,
                                   SystemTime now) = 0;
  /// The account's sessions, newest first.
  virtual Result<std::vector<SignInSession>> list_sessions(const AccountId& account) = 0;
  /// Ends sessions not seen since `idle_before` or created before `created_before`, with
  /// revocations, at most `limit`; returns how many.
  virtual Result<std::size_t> end_expired_sessions(SystemTime idle_before,
                                                   SystemTime created_before, std::size_t limit,
                                                   SystemTime now) = 0;
};

/// Counters that throttle; in the store so that restarts do not forget.
class ThrottleStore {
 public:
  virtual ~ThrottleStore() = default;

  /// Reads the counters of `keys` (absent: default), hands them to `change` in the same order and
  /// writes them back if it returns true: one atomic step. `change` may be called more than once.
  /// Returns what the last call of `change` returned.
  virtual Result<bool> update(std::span<const std::string> keys,
                              const std::function<bool(std::span<ThrottleCounter>)>& change) = 0;
  virtual Result<void> remove(std::span<const std::string> keys) = 0;
  /// Removes counters whose keys begin with `key_prefix` (ASCII) and whose last failure and whose
  /// block both lie before `before`, at most `limit`; returns how many.
  virtual Result<std::size_t> remove_older(std::string_view key_prefix, SystemTime before,
                                           std::size_t limit) = 0;
};

/// Browsers that signed in before.
class KnownDeviceStore {
 public:
  virtual ~KnownDeviceStore() = default;

  /// Inserts; beyond `max_devices` of the account the oldest go.
  virtual Result<void> create_device(const KnownDevice& device, std::size_t max_devices) = 0;
  /// Counts one try against the device *before* the password is verified. True: it belongs to the
  /// account and had fewer than `max_failures`. False: unknown, another account's, or burnt.
  virtual Result<bool> reserve_try(std::string_view token_hash, const AccountId& account,
                                   std::uint32_t max_failures) = 0;
  /// Nothing was verified: takes back what reserve_try() counted.
  virtual Result<void> give_back_try(std::string_view token_hash) = 0;
  /// After a right password: the device's failures are forgotten.
  virtual Result<void> clear_failures(std::string_view token_hash) = 0;
};

/// Instances of the gateway.
class InstanceStore {
 public:
  virtual ~InstanceStore() = default;

  /// Inserts the instance after checking, in the same transaction, that its session (if it has
  /// one) still exists and is not below its account's epoch, and that `ticket_created` is after
  /// the identity's watermark, else kRevoked. If the identity has `max_instances` already that
  /// expire after `instance.created`: kLimitExceeded.
  ///
  /// `presented`, if there is one, is noted in the same transaction: of many devices that show a
  /// ticket the first may show it again, and any other, or one without a name, is kReplayed. What
  /// is noted outlives the instance. With no room left it is refused, never forgotten: kOverloaded;
  /// kLimitExceeded if it is the identity's own bound.
  virtual Result<void> create_instance(
      const Instance& instance, std::size_t max_instances,
      const std::optional<PresentedTicket>& presented = std::nullopt) = 0;
  virtual Result<std::optional<Instance>> find_instance(const InstanceId& id) = 0;
  /// The identity's instances with ids after `after`, ordered by id, at most `limit`; expired ones
  /// too.
  virtual Result<std::vector<Instance>> list_instances(std::string_view application_key,
                                                       const Identity& identity,
                                                       std::string_view after,
                                                       std::size_t limit) = 0;
  /// After `refresh`: new expiry, session and ticket time, with the checks of create_instance.
  /// kAbsent if it has ended, kRevoked; for `presented` as above.
  virtual Result<void> refresh_instance(
      const InstanceId& id, const std::optional<SessionHandle>& session, SystemTime ticket_created,
      SystemTime expires, const std::optional<PresentedTicket>& presented = std::nullopt) = 0;
  /// False if there was none. Writes no revocation: the caller holds the connection.
  virtual Result<bool> end_instance(const InstanceId& id) = 0;
  /// Removes instances, and notes of presented tickets, that expired before `before`, together at
  /// most `limit`; returns how many.
  virtual Result<std::size_t> remove_expired(SystemTime before, std::size_t limit) = 0;
};

/// The log of revocations and the watermarks they leave.
class RevocationStore {
 public:
  virtual ~RevocationStore() = default;

  /// Appends rows (ids are assigned, dense): one transaction. A kIdentity row also deletes the
  /// identity's instances and raises its watermark to the latest of the row's time, the youngest
  /// ticket of those instances, and the whole second after the last watermark, which tickets minted
  /// since may be stamped with; kInstance deletes the instance, kSession the session's instances
  /// (the session itself is ended by end_session).
  virtual Result<void> add(std::span<const Revocation> revocations) = 0;
  /// Rows with id > `after`, in order, at most `limit`.
  virtual Result<std::vector<Revocation>> poll(std::int64_t after, std::size_t limit) = 0;
  /// The newest id; 0 if there is none.
  virtual Result<std::int64_t> head() = 0;
  /// `tickets_after`: tickets created at or before it are refused: the later of the identity's and
  /// of what stands under kTicketsAfterName. The epoch if there is none.
  virtual Result<SystemTime> watermark(std::string_view application_key,
                                       const Identity& identity) = 0;
  /// Removes rows from the front of the log while they are older than `before`, at most `limit`,
  /// so that what stays is dense. Watermarks stay. Returns how many.
  virtual Result<std::size_t> remove_older(SystemTime before, std::size_t limit) = 0;
};

/// Applications and their sealed secrets. Every change raises the generation, which servers poll.
class ApplicationStore {
 public:
  virtual ~ApplicationStore() = default;

  /// Inserts an application with its first secret: one transaction. kAlreadyExists.
  virtual Result<void> create_application(const StoredApplication& application,
                                          const StoredSecret& secret) = 0;
  /// All applications, ordered by key.
  virtual Result<std::vector<StoredApplication>> list_applications() = 0;
  /// Inserts a secret, of any application key; if it mints, the application's others no longer do:
  /// one transaction. kAlreadyExists for a fingerprint that is there.
  virtual Result<void> add_secret(const StoredSecret& secret) = 0;
  /// All secrets, ordered by application key, then by creation.
  virtual Result<std::vector<StoredSecret>> list_secrets() = 0;
  /// Removes a secret. kAbsent; kBadState if it is the one that mints.
  virtual Result<void> remove_secret(std::string_view application_key,
                                     std::string_view fingerprint) = 0;
  /// Raised by every change above, and by raise_generation(). 0 at first.
  virtual Result<std::int64_t> generation() = 0;
  /// Tells servers to read again what stands outside of the store (app.secret).
  virtual Result<void> raise_generation() = 0;
};

/// Under it stands the watermark of all identities: microseconds since 1970. Set by a restore.
inline constexpr std::string_view kTicketsAfterName = "tickets_after";

/// Small named values: the high-water mark of time, the master key's id.
class MetaStore {
 public:
  virtual ~MetaStore() = default;

  virtual Result<std::optional<std::string>> get(std::string_view name) = 0;
  virtual Result<void> set(std::string_view name, std::string_view value) = 0;
  /// Sets the value if there is none, and returns the one that stands.
  virtual Result<std::string> set_if_absent(std::string_view name, std::string_view value) = 0;
};

/// The sum of the above.
class Store {
 public:
  virtual ~Store() = default;

  virtual AccountStore& accounts() = 0;
  virtual SessionStore& sessions() = 0;
  virtual ThrottleStore& throttles() = 0;
  virtual KnownDeviceStore& known_devices() = 0;
  virtual InstanceStore& instances() = 0;
  virtual RevocationStore& revocations() = 0;
  virtual MetaStore& meta() = 0;
  virtual ApplicationStore& applications() = 0;
  virtual MessageStore& messages() = 0;
  /// Null: this store keeps none.
  virtual CallbackStore* callbacks() { return nullptr; }
  /// Null: this store cannot serve the classic door.
  virtual ClassicStore* classic() { return nullptr; }

  /// A cheap read that fails when the store cannot serve. For /readyz.
  virtual Result<void> ping() = 0;
  /// The time where the data is kept: the database server's clock, which nodes must agree with. An
  /// embedded store has the machine's.
  virtual Result<SystemTime> now() { return base::SystemClock().now(); }
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_STORE_H_
