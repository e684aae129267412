#include "gateway/instance_desk.h"

#include <utility>

namespace countersign::gateway {

bool session_is_live(const storage::SessionView& view, const SessionLimits& limits,
                     base::SystemTime now) {
  const storage::SignInSession& session = view.session;
  return !view.account.disabled && session.epoch >= view.account.epoch &&
         now - session.last_seen < limits.idle && now - session.created < limits.absolute;
}

Result<void> InstanceDesk::check_session(const std::optional<base::SessionHandle>& session,
                                         base::SystemTime now) {
  if (!session) return {};
  const auto view = sessions_.find_session_by_handle(*session);
  if (!view) return view.failure();
  if (!*view || !session_is_live(**view, options_.sessions, now)) {
    return fail(ErrorCode::kRevoked, "the session is not live");
  }
  if (now - (*view)->session.last_seen >= options_.sessions.touch_every) {
    return sessions_.touch_sessions({&*session, 1}, now);
  }
  return {};
}

Result<storage::Instance> InstanceDesk::create(
    storage::Instance instance, const std::optional<storage::PresentedTicket>& presented,
    base::SystemTime now) {
  if (auto live = check_session(instance.session, now); !live) return live.failure();
  // Twice, because between the steps another connection of the device may make it or end it.
  for (int attempt = 0;; ++attempt) {
    const auto present = instances_.find_instance(instance.id);
    if (!present) return present.failure();
    const auto stored =
        *present ? instances_.refresh_instance(instance.id, instance.session,
                                               instance.ticket_created, instance.expires, presented)
                 : instances_.create_instance(instance, options_.max_instances_per_user, presented);
    if (stored) {
      if (*present) {
        instance.generation = (*present)->generation;
        instance.key_id = (*present)->key_id;
      }
      return instance;
    }
    const ErrorCode overtaken = *present ? ErrorCode::kAbsent : ErrorCode::kAlreadyExists;
    if (stored.code() != overtaken || attempt > 0) return stored.failure();
  }
}

Result<std::optional<storage::Instance>> InstanceDesk::find(const base::InstanceId& id) {
  return instances_.find_instance(id);
}

Result<storage::Instance> InstanceDesk::check(const base::InstanceId& id, base::SystemTime now) {
  auto found = instances_.find_instance(id);
  if (!found) return found.failure();
  if (!*found) return fail(ErrorCode::kAbsent, "the instance has ended");
  if (!(*found)->session) {  // a session is the stronger check
    const auto watermark = revocations_.watermark((*found)->application_key, (*found)->identity);
    if (!watermark) return watermark.failure();
    if ((*found)->ticket_created <= *watermark) {
      return fail(ErrorCode::kRevoked, "the ticket is older than the watermark");
    }
  }
  if (auto live = check_session((*found)->session, now); !live) return live.failure();
  return **std::move(found);
}

Result<void> InstanceDesk::refresh(const storage::Instance& instance,
                                   const std::optional<storage::PresentedTicket>& presented,
                                   base::SystemTime now) {
  if (auto live = check_session(instance.session, now); !live) return live;
  return instances_.refresh_instance(instance.id, instance.session, instance.ticket_created,
                                     instance.expires, presented);
}

Result<void> InstanceDesk::end(const base::InstanceId& id) {
  const auto ended = instances_.end_instance(id);
  if (!ended) return ended.failure();
  return {};
}

Result<void> InstanceDesk::touch(const std::vector<base::SessionHandle>& sessions,
                                 base::SystemTime now) {
  return sessions_.touch_sessions(sessions, now);
}

}  // namespace countersign::gateway
