// The store as the gateway's simulation sees it: the documented behaviour of three interfaces, in
// memory, with switches that break it in the ways the checkers must notice.
#ifndef COUNTERSIGN_GATEWAY_MODEL_STORE_H_
#define COUNTERSIGN_GATEWAY_MODEL_STORE_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"

namespace countersign::gateway {

class ModelStore final : public storage::SessionStore,
                         public storage::InstanceStore,
                         public storage::RevocationStore {
 public:
  bool failing = false;            ///< every call is kStoreFailed
  bool unchecked_refresh = false;  ///< mutant: refresh asks nobody whether the session is live
  bool ids_from_sequence = false;  ///< mutant: ids are taken early and committed late

  // What the test does to it.

  /// Mutant: presented tickets are remembered by a process, which ends.
  void forget_presented_tickets() { presented_.clear(); }

  void begin_session(const std::string& handle, base::SystemTime now) {
    storage::SessionView view;
    view.session.handle = base::SessionHandle(handle);
    view.session.created = view.session.last_seen = now;
    sessions_[handle] = view;
  }
  bool has_session(const std::string& handle) const { return sessions_.contains(handle); }
  const std::map<std::string, storage::Instance>& all_instances() const { return instances_; }
  /// A transaction that has taken its id and not yet committed; only the mutant store knows it.
  void commit_late_rows() {
    for (auto& [id, row] : late_) rows_[id] = std::move(row);
    late_.clear();
  }

  // SessionStore

  Result<std::optional<storage::SessionView>> find_session_by_handle(
      const base::SessionHandle& handle) override {
    if (failing) return failure();
    const auto found = sessions_.find(handle.text());
    if (found != sessions_.end()) return std::optional(found->second);
    if (unchecked_refresh && ended_.contains(handle.text())) {
      return std::optional(ended_.at(handle.text()));
    }
    return std::optional<storage::SessionView>();
  }
  Result<void> touch_sessions(std::span<const base::SessionHandle> handles,
                              base::SystemTime seen) override {
    if (failing) return failure();
    for (const auto& handle : handles) {
      const auto found = sessions_.find(handle.text());
      if (found == sessions_.end()) continue;
      found->second.session.last_seen = std::max(found->second.session.last_seen, seen);
    }
    return {};
  }
  Result<bool> end_session(const base::SessionHandle& handle, std::string_view reason,
                           base::SystemTime now) override {
    if (failing) return failure();
    const auto found = sessions_.find(handle.text());
    if (found == sessions_.end()) return false;
    ended_[handle.text()] = found->second;
    sessions_.erase(found);
    std::erase_if(instances_, [&handle](const auto& row) { return row.second.session == handle; });
    storage::Revocation row;
    row.scope = storage::RevocationScope::kSession;
    row.session = handle;
    row.reason = std::string(reason);
    row.time = now;
    append(std::move(row));
    return true;
  }
  Result<std::vector<base::SessionHandle>> create_session(const storage::SignInSession&,
                                                          std::size_t) override {
    return failure();
  }
  Result<std::optional<storage::SessionView>> find_session(std::string_view) override {
    return failure();
  }
  Result<void> renew_session(const base::SessionHandle&, std::string_view,
                             base::SystemTime) override {
    return failure();
  }
  Result<std::vector<storage::SignInSession>> list_sessions(const base::AccountId&) override {
    return failure();
  }
  Result<std::size_t> end_expired_sessions(base::SystemTime, base::SystemTime, std::size_t,
                                           base::SystemTime) override {
    return failure();
  }

  // InstanceStore

  Result<void> create_instance(const storage::Instance& instance, std::size_t max_instances,
                               const std::optional<storage::PresentedTicket>& presented) override {
    if (failing) return failure();
    if (auto live = check(instance, instance.session, instance.ticket_created); !live) return live;
    if (auto first = check_presented(instance.identity, presented); !first) return first;
    std::size_t count = 0;
    for (const auto& [id, other] : instances_) {
      count += other.identity == instance.identity && other.expires > instance.created ? 1U : 0U;
    }
    if (count >= max_instances) return fail(ErrorCode::kLimitExceeded);
    if (!instances_.emplace(instance.id.text(), instance).second) {
      return fail(ErrorCode::kAlreadyExists);
    }
    note(instance.identity, presented);
    return {};
  }
  Result<std::optional<storage::Instance>> find_instance(const base::InstanceId& id) override {
    if (failing) return failure();
    const auto found = instances_.find(id.text());
    if (found == instances_.end()) return std::optional<storage::Instance>();
    return std::optional(found->second);
  }
  Result<std::vector<storage::Instance>> list_instances(std::string_view application_key,
                                                        const Identity& identity,
                                                        std::string_view after,
                                                        std::size_t limit) override {
    std::vector<storage::Instance> listed;
    for (const auto& [id, instance] : instances_) {
      if (id > after && instance.application_key == application_key &&
          instance.identity == identity && listed.size() < limit) {
        listed.push_back(instance);
      }
    }
    return listed;
  }
  Result<void> refresh_instance(const base::InstanceId& id,
                                const std::optional<base::SessionHandle>& session,
                                base::SystemTime ticket_created, base::SystemTime expires,
                                const std::optional<storage::PresentedTicket>& presented) override {
    if (failing) return failure();
    const auto found = instances_.find(id.text());
    if (found == instances_.end()) {
      if (unchecked_refresh) return {};
      return fail(ErrorCode::kAbsent);
    }
    if (!unchecked_refresh) {
      if (auto live = check(found->second, session, ticket_created); !live) return live;
    }
    if (auto first = check_presented(found->second.identity, presented); !first) return first;
    note(found->second.identity, presented);
    found->second.session = session;
    found->second.ticket_created = ticket_created;
    found->second.expires = expires;
    return {};
  }
  Result<bool> end_instance(const base::InstanceId& id) override {
    if (failing) return failure();
    return instances_.erase(id.text()) == 1;
  }
  Result<std::size_t> remove_expired(base::SystemTime, std::size_t) override { return failure(); }

  // RevocationStore

  Result<void> add(std::span<const storage::Revocation> revocations) override {
    if (failing) return failure();
    for (storage::Revocation row : revocations) {
      if (row.scope == storage::RevocationScope::kInstance) {
        instances_.erase(row.instance.text());
      } else if (row.scope == storage::RevocationScope::kIdentity) {
        auto& mark = watermarks_[row.identity.endpoint];
        const bool first = mark == base::SystemTime();
        mark = first ? row.time : std::max<base::SystemTime>(row.time, base::second_after(mark));
        std::erase_if(instances_, [&row, &mark](const auto& entry) {
          if (entry.second.identity != row.identity) return false;
          mark = std::max(mark, entry.second.ticket_created);
          return true;
        });
      }
      append(std::move(row));
    }
    return {};
  }
  Result<std::vector<storage::Revocation>> poll(std::int64_t after, std::size_t limit) override {
    if (failing) return failure();
    std::vector<storage::Revocation> out;
    for (auto row = rows_.upper_bound(after); row != rows_.end() && out.size() < limit; ++row) {
      out.push_back(row->second);
    }
    return out;
  }
  Result<std::int64_t> head() override {
    if (failing) return failure();
    return top_;
  }
  Result<base::SystemTime> watermark(std::string_view, const Identity& identity) override {
    if (failing) return failure();
    const auto found = watermarks_.find(identity.endpoint);
    return found == watermarks_.end() ? base::SystemTime() : found->second;
  }
  Result<std::size_t> remove_older(base::SystemTime before, std::size_t) override {
    if (failing) return failure();
    return std::erase_if(rows_, [before](const auto& row) { return row.second.time < before; });
  }

 private:
  static tl::unexpected<Error> failure() { return fail(ErrorCode::kStoreFailed, "told to fail"); }

  Result<void> check(const storage::Instance& instance,
                     const std::optional<base::SessionHandle>& session,
                     base::SystemTime ticket_created) {
    if (session) {
      if (!sessions_.contains(session->text())) return fail(ErrorCode::kRevoked);
      return {};
    }
    const auto mark = watermarks_.find(instance.identity.endpoint);
    if (mark != watermarks_.end() && ticket_created <= mark->second) {
      return fail(ErrorCode::kRevoked);
    }
    return {};
  }
  Result<void> check_presented(const Identity& identity,
                               const std::optional<storage::PresentedTicket>& presented) const {
    if (!presented) return {};
    const auto first = presented_.find(presented->digest);
    if (first != presented_.end()) {
      const bool same = !presented->device.empty() && first->second.device == presented->device;
      return same ? Result<void>() : Result<void>(fail(ErrorCode::kReplayed));
    }
    std::size_t own = 0;
    for (const auto& [digest, noted] : presented_) own += noted.identity == identity ? 1U : 0U;
    if (own >= presented->max_noted_of_identity) return fail(ErrorCode::kLimitExceeded);
    if (presented_.size() >= presented->max_noted) return fail(ErrorCode::kOverloaded);
    return {};
  }
  void note(const Identity& identity, const std::optional<storage::PresentedTicket>& presented) {
    if (presented) presented_.try_emplace(presented->digest, Noted{identity, presented->device});
  }
  void append(storage::Revocation row) {
    row.id = ++top_;
    // Every other transaction of the mutant is slow: a later id is visible before an earlier one.
    if (ids_from_sequence && row.id % 2 == 1) {
      late_[row.id] = std::move(row);
    } else {
      rows_[row.id] = std::move(row);
    }
  }

  struct Noted {
    Identity identity;
    std::string device;
  };

  std::map<std::string, storage::SessionView> sessions_;
  std::map<std::string, storage::SessionView> ended_;
  std::map<std::string, storage::Instance> instances_;
  std::map<std::string, Noted> presented_;
  std::map<std::string, base::SystemTime> watermarks_;
  std::map<std::int64_t, storage::Revocation> rows_;
  std::map<std::int64_t, storage::Revocation> late_;
  std::int64_t top_ = 0;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MODEL_STORE_H_
