#include "accounts/sign_up.h"

#include <utility>

#include "base/log.h"

namespace countersign::accounts {

Result<NewAccount> read_new_account(const PasswordPolicy& policy, base::Random& random,
                                    base::SystemTime now, std::string_view user_name,
                                    std::string_view email, bool email_required,
                                    const base::SecretBytes& password) {
  Result<UserName> name = parse_user_name(user_name);
  if (!name) return name.failure();
  NewAccount made;
  made.account.user_name = std::move(name->text);
  made.account.user_name_key = std::move(name->key);
  if (email.find_first_not_of(" \t") != std::string_view::npos) {
    Result<EmailAddress> address = parse_email(email);
    if (!address) return address.failure();
    made.account.email = std::move(address->text);
    made.account.email_key = made.account.email_lookup = std::move(address->key);
  } else if (email_required) {
    return fail(ErrorCode::kEmailRequired);
  }
  Result<base::SecretBytes> normalised = normalise_password(password);
  if (!normalised) return normalised.failure();
  const Result<void> allowed =
      policy.check(*normalised, made.account.user_name, made.account.email.value_or(""));
  if (!allowed) return allowed.failure();
  made.password = *std::move(normalised);
  made.account.id = base::AccountId(random.token(16));
  made.account.created = now;
  return made;
}

SignUp::SignUp(Parts parts, const PasswordPolicy& policy, AnswerFloor& floor, SignUpOptions options)
    : parts_(parts),
      policy_(policy),
      floor_(floor),
      options_(options),
      created_(parts.metrics.counter("countersign_sign_ups_total", "Accounts made by sign-up")) {}

Result<SignUpDraft> SignUp::admit(SignUpRequest request) {
  if (!options_.open) return fail(ErrorCode::kSignUpClosed);
  Result<NewAccount> made =
      read_new_account(policy_, parts_.random, parts_.clock.now(), request.user_name, request.email,
                       options_.email_is_identity, request.password);
  if (!made) return made.failure();
  Result<PasswordPool::Slot> slot = parts_.pool.reserve(request.prefix, false);
  if (!slot) return slot.failure();

  SignUpDraft draft;
  request.password = base::SecretBytes();
  draft.request = std::move(request);
  draft.began = parts_.clock.steady();
  draft.slot = *std::move(slot);
  draft.account = std::move(made->account);
  // Whoever types an address first has shown nothing: it is nobody's until somebody confirms it.
  if (!options_.email_is_identity) draft.account.email_key.reset();
  draft.password = std::move(made->password);
  return draft;
}

Result<void> SignUp::prepare(SignUpDraft& draft) {
  const Result<bool> admitted = parts_.throttle.reserve_sign_up(draft.request.prefix.narrow);
  if (!admitted) return admitted.failure();
  if (!*admitted) return fail(ErrorCode::kTooManyRequests, "sign-ups from this prefix");
  draft.reserved = true;
  return {};
}

void SignUp::hash(SignUpDraft& draft) {
  draft.password_hash = parts_.hasher.hash(draft.password, draft.account.id);
  draft.password = base::SecretBytes();
}

Result<Authenticated> SignUp::finish(SignUpDraft draft) {
  const std::string& prefix = draft.request.prefix.narrow;
  const auto give_up = [&](Error error) -> Result<Authenticated> {
    const bool taken =
        error.code == ErrorCode::kNameTaken || error.code == ErrorCode::kEmailRefused;
    if (auto done = parts_.throttle.take_back_sign_up(prefix, taken); !done) return done.failure();
    return tl::make_unexpected(std::move(error));
  };
  if (!draft.password_hash) return give_up({ErrorCode::kBusy, "pushed out of the hash pool"});
  if (!*draft.password_hash) return give_up(draft.password_hash->error());

  const Result<void> created =
      parts_.store.accounts().create_account(draft.account, **draft.password_hash);
  floor_.note_work(parts_.clock.steady() - draft.began);
  if (!created) return give_up(created.error());

  created_.add();
  base::log_info("sign_up", {{"account", draft.account.id.text()},
                             {"prefix", prefix},
                             {"request_id", draft.request.request_id}});
  Result<std::string> cookie = parts_.devices.issue(draft.request.device_cookie, draft.account.id);
  Authenticated person{std::move(draft.account), std::nullopt};
  if (cookie) {
    person.device_cookie = *std::move(cookie);
  } else {
    // The account is made, and saying anything else would be untrue.
    base::log_warning("device_not_noted", {{"account", person.account.id.text()},
                                           {"detail", cookie.error().detail},
                                           {"request_id", draft.request.request_id}});
  }
  return person;
}

}  // namespace countersign::accounts
