#include "countersign/key_ring.h"

#include <algorithm>
#include <utility>

#include "ticket/json_writer.h"
#include "ticket/key_ring_access.h"

namespace countersign {
namespace {

constexpr std::size_t kMaxApplicationKeyBytes = 255;

// The key is a segment of a JWT's issuer and stands before a colon in Authorization headers.
bool is_application_key(std::string_view key) noexcept {
  return !key.empty() && key.size() <= kMaxApplicationKeyBytes &&
         std::all_of(key.begin(), key.end(),
                     [](char c) { return c > ' ' && c < '\x7f' && c != '/' && c != ':'; });
}

template <class Entries>
auto lower_bound(Entries& entries, std::string_view key) noexcept {
  return std::lower_bound(
      entries.begin(), entries.end(), key,
      [](const auto& entry, std::string_view wanted) { return entry.application_key < wanted; });
}

template <class Entry>
auto find_secret(Entry& entry, std::string_view fingerprint) noexcept {
  return std::find_if(entry.secrets.begin(), entry.secrets.end(), [&](const ActiveSecret& secret) {
    return secret.fingerprint == fingerprint;
  });
}

tl::unexpected<Error> no_such_secret() {
  return fail(ErrorCode::kNotFound, "the application has no active secret of this fingerprint");
}

template <class State>
void count_secrets(State& state) noexcept {
  state.most_secrets = 1;
  for (const auto& entry : state.entries) {
    state.most_secrets = std::max(state.most_secrets, entry.secrets.size());
  }
}

}  // namespace

KeyRing::KeyRing() : state_(std::make_unique<State>()) {}
KeyRing::KeyRing(KeyRing&&) noexcept = default;
KeyRing& KeyRing::operator=(KeyRing&&) noexcept = default;
KeyRing::~KeyRing() = default;

KeyRing KeyRing::clone() const {
  KeyRing copy;
  *copy.state_ = *state_;
  return copy;
}

Result<void> KeyRing::add(std::string application_key, ApplicationSecret secret) {
  if (!is_application_key(application_key)) {
    return fail(ErrorCode::kBadSetting,
                "an application key is 1-255 printable ASCII characters without blank, / and :");
  }
  auto at = lower_bound(state_->entries, application_key);
  if (at == state_->entries.end() || at->application_key != application_key) {
    std::string escaped(application_key.size() * kMaxEscapedPerByte, '\0');
    escaped.resize(static_cast<std::size_t>(write_json_text(application_key, escaped.data()) -
                                            escaped.data()));
    at = state_->entries.insert(at, Entry{std::move(application_key), std::move(escaped), {}});
  }
  std::string fingerprint = secret.fingerprint();
  if (find_secret(*at, fingerprint) != at->secrets.end()) return {};
  if (at->secrets.size() == kMaxSecretsPerKey) {
    return fail(ErrorCode::kLimitExceeded,
                "the application has 8 active secrets; retire one first");
  }
  at->secrets.push_back(ActiveSecret{std::move(fingerprint), MacKey(secret.reveal())});
  count_secrets(*state_);
  return {};
}

Result<void> KeyRing::set_minting(std::string_view application_key, std::string_view fingerprint) {
  const auto at = lower_bound(state_->entries, application_key);
  if (at == state_->entries.end() || at->application_key != application_key) {
    return no_such_secret();
  }
  const auto secret = find_secret(*at, fingerprint);
  if (secret == at->secrets.end()) return no_such_secret();
  std::rotate(at->secrets.begin(), secret, secret + 1);
  return {};
}

Result<void> KeyRing::retire(std::string_view application_key, std::string_view fingerprint) {
  const auto at = lower_bound(state_->entries, application_key);
  if (at == state_->entries.end() || at->application_key != application_key) {
    return no_such_secret();
  }
  const auto secret = find_secret(*at, fingerprint);
  if (secret == at->secrets.end()) return no_such_secret();
  at->secrets.erase(secret);
  if (at->secrets.empty()) state_->entries.erase(at);
  count_secrets(*state_);
  return {};
}

bool KeyRing::contains(std::string_view application_key) const noexcept {
  return KeyRingAccess::find(*this, application_key) != nullptr;
}

bool KeyRing::empty() const noexcept { return state_->entries.empty(); }

std::vector<std::string> KeyRing::application_keys() const {
  std::vector<std::string> keys;
  keys.reserve(state_->entries.size());
  for (const Entry& entry : state_->entries) keys.push_back(entry.application_key);
  return keys;
}

std::vector<std::string> KeyRing::fingerprints(std::string_view application_key) const {
  std::vector<std::string> result;
  if (const Entry* const entry = KeyRingAccess::find(*this, application_key)) {
    for (const ActiveSecret& secret : entry->secrets) result.push_back(secret.fingerprint);
  }
  return result;
}

const KeyRingAccess::Entry* KeyRingAccess::find(const KeyRing& ring,
                                                std::string_view application_key) noexcept {
  const auto& entries = ring.state_->entries;
  const auto at = lower_bound(entries, application_key);
  return at != entries.end() && at->application_key == application_key ? &*at : nullptr;
}

const MacKey& KeyRingAccess::dummy_key() noexcept {
  // Its MACs are computed for the time they take and thrown away, so that its value is no secret.
  static const MacKey key{std::span<const std::byte>{}};
  return key;
}

}  // namespace countersign
