#include "accounts/sign_in.h"

#include <utility>

#include "accounts/email.h"
#include "accounts/password_policy.h"
#include "accounts/user_name.h"
#include "base/log.h"
#include "base/unicode.h"

namespace countersign::accounts {
namespace {

constexpr std::string_view kMetric = "countersign_sign_ins_total";
constexpr std::string_view kMetricHelp = "Sign-in attempts by result";

/// Phones like to add a blank after a word; no name begins or ends with one.
std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

base::Counter& counter(base::Metrics& metrics, const char* result) {
  return metrics.counter(std::string(kMetric), std::string(kMetricHelp), {{"result", result}});
}

}  // namespace

SignIn::SignIn(Parts parts, AnswerFloor& floor)
    : parts_(parts),
      floor_(floor),
      succeeded_(counter(parts.metrics, "succeeded")),
      refused_(counter(parts.metrics, "refused")),
      throttled_(counter(parts.metrics, "throttled")),
      busy_(counter(parts.metrics, "busy")) {}

Result<SignInAttempt> SignIn::admit(SignInRequest request) {
  Result<PasswordPool::Slot> slot =
      parts_.pool.reserve(request.prefix, parts_.devices.claims(request.device_cookie));
  if (!slot) {
    busy_.add();
    return slot.failure();
  }
  SignInAttempt attempt;
  attempt.request = std::move(request);
  attempt.began = parts_.clock.steady();
  attempt.slot = *std::move(slot);
  return attempt;
}

Result<void> SignIn::prepare(SignInAttempt& attempt) {
  Result<base::SecretBytes> password = normalise_password(attempt.request.password);
  attempt.typed_well = password.ok();
  attempt.request.password = password ? *std::move(password) : base::SecretBytes();

  if (Result<void> found = find(attempt); !found) return found;
  if (attempt.account) {
    auto device = parts_.devices.reserve(attempt.request.device_cookie, attempt.account->id);
    if (!device) return device.failure();
    attempt.device = *std::move(device);
  }
  if (!attempt.device) {
    // The place may have been given for a token of another account, or a burnt one.
    if (Result<void> place = attempt.slot->become_common(); !place) {
      busy_.add();
      return place;
    }
    auto reservation = parts_.throttle.reserve(attempt.key, attempt.request.prefix.narrow);
    if (!reservation) return reservation.failure();
    attempt.reservation = *std::move(reservation);
    attempt.throttled = !attempt.reservation.has_value();
  }
  if (attempt.throttled) {
    attempt.slot.reset();
    return {};
  }
  if (attempt.account) {
    Result<std::string> hash = parts_.store.accounts().get_password_hash(attempt.account->id);
    if (!hash && hash.code() != ErrorCode::kAbsent) return hash.failure();
    if (hash) attempt.stored_hash = *std::move(hash);
  }
  return {};
}

Result<void> SignIn::find(SignInAttempt& attempt) {
  const std::string_view typed = trim(attempt.request.name);
  Result<std::optional<storage::Account>> account(std::nullopt);
  if (typed.find('@') != std::string_view::npos) {
    const Result<EmailAddress> email = parse_email(typed);
    attempt.key = email ? email->key : std::string(typed);
    if (email) account = parts_.store.accounts().find_account_by_email(email->key);
  } else {
    const Result<UserName> name = parse_user_name(typed);
    attempt.key = name ? name->key : std::string(typed);
    if (name) account = parts_.store.accounts().find_account_by_name(name->key);
  }
  if (!account) return account.failure();
  attempt.account = *std::move(account);
  return {};
}

void SignIn::hash(SignInAttempt& attempt) {
  if (attempt.throttled) return;
  const base::SecretBytes& password = attempt.request.password;
  if (attempt.account && !attempt.stored_hash.empty() && attempt.typed_well) {
    const PasswordVerdict verdict =
        parts_.hasher.verify(attempt.stored_hash, attempt.account->id, password);
    attempt.matches = verdict.matches;
    if (verdict.needs_rehash) {
      // A failure leaves the old hash, which still verifies; the next sign-in tries again.
      attempt.new_hash = parts_.hasher.hash(password, attempt.account->id).value_or("");
    }
  } else {
    parts_.hasher.verify_decoy(password);
  }
  attempt.hashed = true;
}

Result<Authenticated> SignIn::finish(SignInAttempt attempt) {
  if (attempt.throttled) {
    throttled_.add();
    record(attempt, "throttled");
    return fail(ErrorCode::kCredentials, "throttled");
  }
  if (!attempt.hashed) {
    busy_.add();
    if (attempt.reservation) {
      if (auto taken = parts_.throttle.take_back(*attempt.reservation); !taken) {
        return taken.failure();
      }
    }
    return fail(ErrorCode::kBusy, "pushed out of the hash pool's queue");
  }
  Result<Authenticated> answer =
      attempt.matches ? accept(attempt) : fail(ErrorCode::kCredentials, "wrong name or password");
  floor_.note_work(parts_.clock.steady() - attempt.began);
  if (answer) {
    succeeded_.add();
    record(attempt, "succeeded");
  } else {
    refused_.add();
    record(attempt, error_name(answer.code()));
  }
  return answer;
}

Result<Authenticated> SignIn::accept(SignInAttempt& attempt) {
  if (attempt.reservation) {
    if (auto done = parts_.throttle.succeeded(*attempt.reservation); !done) return done.failure();
  }
  if (attempt.device) {
    if (auto done = parts_.devices.clear(*attempt.device); !done) return done.failure();
    if (auto done = parts_.throttle.clear(attempt.key, attempt.request.prefix.narrow); !done) {
      return done.failure();
    }
  }
  const storage::Account& account = *attempt.account;
  if (account.disabled) return fail(ErrorCode::kAccountDisabled);
  if (!attempt.new_hash.empty()) {
    const Result<bool> rehashed =
        parts_.store.accounts().rehash_password(account.id, attempt.stored_hash, attempt.new_hash);
    if (!rehashed) return rehashed.failure();
  }
  Authenticated person{account, std::nullopt};
  if (!attempt.device && attempt.request.wants_device) {
    Result<std::string> cookie = parts_.devices.issue(attempt.request.device_cookie, account.id);
    if (!cookie) return cookie.failure();
    person.device_cookie = *std::move(cookie);
  }
  return person;
}

void SignIn::record(const SignInAttempt& attempt, std::string_view result) {
  // What was typed may be a password in the wrong field: only its hidden form is written.
  const std::string typed = parts_.throttle.hide(attempt.key);
  base::log_info("sign_in", {{"result", result},
                             {"account", attempt.account ? attempt.account->id.text() : ""},
                             {"typed", typed},
                             {"known_device", attempt.device.has_value()},
                             {"prefix", attempt.request.prefix.narrow},
                             {"request_id", attempt.request.request_id}});
}

}  // namespace countersign::accounts
