#include "accounts/password_change.h"

#include <utility>

#include "base/log.h"

namespace countersign::accounts {

PasswordChange::PasswordChange(Parts parts, const PasswordPolicy& policy, AnswerFloor& floor)
    : parts_(parts), policy_(policy), floor_(floor) {}

Result<PasswordChangeDraft> PasswordChange::admit(PasswordChangeRequest request) {
  Result<base::SecretBytes> chosen = normalise_password(request.new_password);
  if (!chosen) return chosen.failure();
  const Result<void> allowed =
      policy_.check(*chosen, request.account.user_name, request.account.email.value_or(""));
  if (!allowed) return allowed.failure();
  // Whoever has a session is known; what they may try is limited by their own counter.
  Result<PasswordPool::Slot> slot = parts_.pool.reserve(request.prefix, true);
  if (!slot) return slot.failure();

  PasswordChangeDraft draft;
  Result<base::SecretBytes> current = normalise_password(request.current_password);
  draft.typed_well = current.ok();
  if (current) draft.current_password = *std::move(current);
  draft.new_password = *std::move(chosen);
  request.current_password = base::SecretBytes();
  request.new_password = base::SecretBytes();
  draft.request = std::move(request);
  draft.began = parts_.clock.steady();
  draft.slot = *std::move(slot);
  return draft;
}

Result<void> PasswordChange::prepare(PasswordChangeDraft& draft) {
  auto reservation = parts_.throttle.reserve_proof(draft.request.account.id);
  if (!reservation) return reservation.failure();
  draft.reservation = *std::move(reservation);
  draft.throttled = !draft.reservation.has_value();
  if (draft.throttled) {
    draft.slot.reset();
    return {};
  }
  Result<std::string> hash = parts_.store.accounts().get_password_hash(draft.request.account.id);
  if (!hash) {
    // The first failure is the one to tell; a try that cannot be given back is forgotten in time.
    static_cast<void>(parts_.throttle.take_back(*draft.reservation));
    return hash.failure();
  }
  draft.stored_hash = *std::move(hash);
  return {};
}

void PasswordChange::hash(PasswordChangeDraft& draft) {
  if (draft.throttled) return;
  const base::AccountId& row = draft.request.account.id;
  draft.matches = draft.typed_well &&
                  parts_.hasher.verify(draft.stored_hash, row, draft.current_password).matches;
  if (draft.matches) draft.new_hash = parts_.hasher.hash(draft.new_password, row);
  draft.hashed = true;
}

Result<Authenticated> PasswordChange::finish(PasswordChangeDraft draft) {
  if (draft.throttled) return fail(ErrorCode::kCredentials, "throttled");
  if (!draft.hashed || (draft.matches && !*draft.new_hash)) {
    if (auto done = parts_.throttle.take_back(*draft.reservation); !done) return done.failure();
    return fail(ErrorCode::kBusy, "pushed out of the hash pool");
  }
  floor_.note_work(parts_.clock.steady() - draft.began);
  if (!draft.matches) return fail(ErrorCode::kCredentials, "wrong current password");
  if (auto done = parts_.throttle.succeeded(*draft.reservation); !done) return done.failure();

  storage::Account account = std::move(draft.request.account);
  const Result<bool> changed = parts_.store.accounts().change_password(
      account.id, draft.stored_hash, **draft.new_hash, draft.request.session, parts_.clock.now());
  if (!changed) return changed.failure();
  if (!*changed) return fail(ErrorCode::kCredentials, "the password was changed meanwhile");
  base::log_info("password_changed", {{"account", account.id.text()},
                                      {"prefix", draft.request.prefix.narrow},
                                      {"request_id", draft.request.request_id}});
  // The tokens of all browsers are void, that of this one too; so is what the cookie holds for this
  // account. Other people's tokens in it go as well, which costs them nothing but their exemption.
  Result<std::string> cookie = parts_.devices.issue("", account.id);
  if (!cookie) return cookie.failure();
  return Authenticated{std::move(account), *std::move(cookie)};
}

}  // namespace countersign::accounts
