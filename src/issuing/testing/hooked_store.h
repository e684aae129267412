// HookedStore: a store that lets a test act in between, or makes one call fail. Everything else
// goes to the store behind it. Thread-safety: as that store; set hooks before calls that reach
// them.
#ifndef COUNTERSIGN_ISSUING_TESTING_HOOKED_STORE_H_
#define COUNTERSIGN_ISSUING_TESTING_HOOKED_STORE_H_

#include <functional>
#include <utility>

#include "storage/store.h"

namespace countersign::issuing {

class HookedStore final : public storage::Store,
                          private storage::SessionStore,
                          private storage::RevocationStore {
 public:
  /// Called once, after the next read of its kind, before its caller sees what was read.
  std::function<void()> after_watermark;
  std::function<void()> after_find_by_handle;
  /// While set, create_session() answers this and creates nothing.
  std::optional<ErrorCode> create_session_fails;
  /// While set, end_session() answers this and ends nothing.
  std::optional<ErrorCode> end_session_fails;

  /// `inner` outlives this.
  explicit HookedStore(storage::Store& inner) : inner_(inner) {}

  storage::AccountStore& accounts() override { return inner_.accounts(); }
  storage::SessionStore& sessions() override { return *this; }
  storage::ThrottleStore& throttles() override { return inner_.throttles(); }
  storage::KnownDeviceStore& known_devices() override { return inner_.known_devices(); }
  storage::InstanceStore& instances() override { return inner_.instances(); }
  storage::RevocationStore& revocations() override { return *this; }
  storage::MetaStore& meta() override { return inner_.meta(); }
  storage::ApplicationStore& applications() override { return inner_.applications(); }
  storage::MessageStore& messages() override { return inner_.messages(); }
  Result<void> ping() override { return inner_.ping(); }

 private:
  using Time = storage::SystemTime;
  using Handle = storage::SessionHandle;

  static void run_once(std::function<void()>& hook) {
    if (const auto now = std::exchange(hook, nullptr)) now();
  }

  Result<std::vector<Handle>> create_session(const storage::SignInSession& session,
                                             std::size_t max_sessions) override {
    if (create_session_fails) return fail(*create_session_fails, "as the test wants");
    return inner_.sessions().create_session(session, max_sessions);
  }
  Result<std::optional<storage::SessionView>> find_session(std::string_view id_hash) override {
    return inner_.sessions().find_session(id_hash);
  }
  Result<std::optional<storage::SessionView>> find_session_by_handle(
      const Handle& handle) override {
    auto found = inner_.sessions().find_session_by_handle(handle);
    run_once(after_find_by_handle);
    return found;
  }
  Result<void> touch_sessions(std::span<const Handle> handles, Time seen) override {
    return inner_.sessions().touch_sessions(handles, seen);
  }
  Result<void> renew_session(const Handle& handle, std::string_view new_id_hash,
                             Time authenticated) override {
    return inner_.sessions().renew_session(handle, new_id_hash, authenticated);
  }
  Result<bool> end_session(const Handle& handle, std::string_view reason, Time now) override {
    if (end_session_fails) return fail(*end_session_fails, "as the test wants");
    return inner_.sessions().end_session(handle, reason, now);
  }
  Result<std::vector<storage::SignInSession>> list_sessions(
      const storage::AccountId& account) override {
    return inner_.sessions().list_sessions(account);
  }
  Result<std::size_t> end_expired_sessions(Time idle_before, Time created_before, std::size_t limit,
                                           Time now) override {
    return inner_.sessions().end_expired_sessions(idle_before, created_before, limit, now);
  }

  Result<void> add(std::span<const storage::Revocation> revocations) override {
    return inner_.revocations().add(revocations);
  }
  Result<std::vector<storage::Revocation>> poll(std::int64_t after, std::size_t limit) override {
    return inner_.revocations().poll(after, limit);
  }
  Result<std::int64_t> head() override { return inner_.revocations().head(); }
  Result<Time> watermark(std::string_view application_key, const Identity& identity) override {
    auto mark = inner_.revocations().watermark(application_key, identity);
    run_once(after_watermark);
    return mark;
  }
  Result<std::size_t> remove_older(Time before, std::size_t limit) override {
    return inner_.revocations().remove_older(before, limit);
  }

  storage::Store& inner_;
};

}  // namespace countersign::issuing

#endif  // COUNTERSIGN_ISSUING_TESTING_HOOKED_STORE_H_
