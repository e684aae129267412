#include "accounts/sign_in.h"

#include <algorithm>
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

  Result<void> made_ready = ready(attempt);
  // The first failure is the one to tell; a try that cannot be given back is forgotten in time.
  if (!made_ready) static_cast<void>(give_back(attempt));
  return made_ready;
}

Result<void> SignIn::ready(SignInAttempt& attempt) {
  if (Result<void> found = find(attempt); !found) return found;
  bool at_known_device = false;
  for (SignInCandidate& candidate : attempt.candidates) {
    auto device = parts_.devices.reserve(attempt.request.device_cookie, candidate.account.id);
    if (!device) return device.failure();
    candidate.device = *std::move(device);
    at_known_device = at_known_device || candidate.device.has_value();
  }
  if (!at_known_device) {
    // The place may have been given for a token of another account, or a burnt one.
    if (Result<void> place = attempt.slot->become_common(); !place) {
      busy_.add();
      return place;
    }
  }
  if (!at_known_device || attempt.by_address) {
    auto reservation = parts_.throttle.reserve(attempt.key, attempt.request.prefix.narrow);
    if (!reservation) return reservation.failure();
    attempt.reservation = *std::move(reservation);
    if (!attempt.reservation) {
      std::erase_if(attempt.candidates,
                    [](const SignInCandidate& candidate) { return !candidate.device; });
      attempt.throttled = attempt.candidates.empty();
    }
  }
  if (attempt.throttled) {
    attempt.slot.reset();
    return {};
  }
  for (SignInCandidate& candidate : attempt.candidates) {
    Result<std::string> hash = parts_.store.accounts().get_password_hash(candidate.account.id);
    if (!hash && hash.code() != ErrorCode::kAbsent) return hash.failure();
    if (hash) candidate.stored_hash = *std::move(hash);
  }
  return {};
}

Result<void> SignIn::find(SignInAttempt& attempt) {
  const std::string_view typed = trim(attempt.request.name);
  attempt.by_address = typed.find('@') != std::string_view::npos;
  if (attempt.by_address) {
    const Result<EmailAddress> email = parse_email(typed);
    attempt.key = email ? email->key : std::string(typed);
    if (!email) return {};
    auto holders = parts_.store.accounts().find_accounts_by_email(email->key, kMostCandidates);
    if (!holders) return holders.failure();
    for (storage::Account& account : *holders) {
      attempt.candidates.push_back({std::move(account), "", std::nullopt});
    }
    return {};
  }
  const Result<UserName> name = parse_user_name(typed);
  attempt.key = name ? name->key : std::string(typed);
  if (!name) return {};
  auto account = parts_.store.accounts().find_account_by_name(name->key);
  if (!account) return account.failure();
  if (*account) attempt.candidates.push_back({**std::move(account), "", std::nullopt});
  return {};
}

Result<void> SignIn::give_back(const SignInAttempt& attempt) {
  Result<void> given;
  if (attempt.reservation) given = parts_.throttle.take_back(*attempt.reservation);
  for (const SignInCandidate& candidate : attempt.candidates) {
    if (!candidate.device) continue;
    if (Result<void> done = parts_.devices.give_back(*candidate.device); !done) given = done;
  }
  return given;
}

void SignIn::hash(SignInAttempt& attempt) {
  if (attempt.throttled) return;
  const base::SecretBytes& password = attempt.request.password;
  bool tried = false;
  for (std::size_t i = 0; attempt.typed_well && i < attempt.candidates.size(); ++i) {
    const SignInCandidate& candidate = attempt.candidates[i];
    if (candidate.stored_hash.empty()) continue;
    const PasswordVerdict verdict =
        parts_.hasher.verify(candidate.stored_hash, candidate.account.id, password);
    tried = true;
    if (!verdict.matches) continue;
    attempt.matched = i;
    if (verdict.needs_rehash) {
      // A failure leaves the old hash, which still verifies; the next sign-in tries again.
      attempt.new_hash = parts_.hasher.hash(password, candidate.account.id).value_or("");
    }
    break;
  }
  if (!tried) parts_.hasher.verify_decoy(password);
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
    if (Result<void> given = give_back(attempt); !given) return given.failure();
    return fail(ErrorCode::kBusy, "pushed out of the hash pool's queue");
  }
  Result<Authenticated> answer =
      attempt.matched ? accept(attempt) : fail(ErrorCode::kCredentials, "wrong name or password");
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
  const SignInCandidate& person = attempt.candidates[*attempt.matched];
  const storage::Account& account = person.account;
  // See the head of sign_in.h: whoever holds the address of another must not clear their counters.
  const bool clears = !attempt.by_address || account.email_key == attempt.key;
  if (attempt.reservation) {
    auto done = clears ? parts_.throttle.succeeded(*attempt.reservation)
                       : parts_.throttle.take_back(*attempt.reservation);
    if (!done) return done.failure();
  }
  if (person.device) {
    if (auto done = parts_.devices.clear(*person.device); !done) return done.failure();
  }
  if (person.device && clears) {
    if (auto done = parts_.throttle.clear(attempt.key, attempt.request.prefix.narrow); !done) {
      return done.failure();
    }
  }
  if (account.disabled) return fail(ErrorCode::kAccountDisabled);
  if (!attempt.new_hash.empty()) {
    const Result<bool> rehashed =
        parts_.store.accounts().rehash_password(account.id, person.stored_hash, attempt.new_hash);
    if (!rehashed) return rehashed.failure();
  }
  Authenticated answer{account, std::nullopt};
  if (!person.device && attempt.request.wants_device) {
    Result<std::string> cookie = parts_.devices.issue(attempt.request.device_cookie, account.id);
    if (!cookie) return cookie.failure();
    answer.device_cookie = *std::move(cookie);
  }
  return answer;
}

void SignIn::record(const SignInAttempt& attempt, std::string_view result) {
  // The account whose password it was, or the only one it can have been.
  std::string account;
  if (attempt.matched) {
    account = attempt.candidates[*attempt.matched].account.id.text();
  } else if (attempt.candidates.size() == 1) {
    account = attempt.candidates[0].account.id.text();
  }
  const bool known_device =
      std::any_of(attempt.candidates.begin(), attempt.candidates.end(),
                  [](const SignInCandidate& candidate) { return candidate.device.has_value(); });
  // What was typed may be a password in the wrong field: only its hidden form is written.
  const std::string typed = parts_.throttle.hide(attempt.key);
  base::log_info("sign_in", {{"result", result},
                             {"account", account},
                             {"typed", typed},
                             {"known_device", known_device},
                             {"prefix", attempt.request.prefix.narrow},
                             {"request_id", attempt.request.request_id}});
}

}  // namespace countersign::accounts
