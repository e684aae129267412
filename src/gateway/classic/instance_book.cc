#include "gateway/classic/instance_book.h"

#include <algorithm>
#include <utility>

namespace countersign::gateway::classic {
namespace {

// A revocation that comes in while the store is asked makes the answer doubtful.
constexpr int kTries = 3;

// What the store says of an instance that it has, or had, and says again.
bool is_verdict(ErrorCode code) {
  return code == ErrorCode::kRevoked || code == ErrorCode::kInstanceExpired;
}

}  // namespace

bool ends(const storage::Revocation& revocation, const storage::Instance& instance) {
  switch (revocation.scope) {
    case storage::RevocationScope::kSession:
      return instance.session == revocation.session;
    case storage::RevocationScope::kIdentity:
      return revocation.application_key == instance.application_key &&
             revocation.identity == instance.identity;
    case storage::RevocationScope::kInstance:
      return revocation.instance == instance.id;
  }
  return true;
}

InstanceBook::InstanceBook(Options options, InstanceDesk& desk, const base::Clock& clock)
    : options_(options), desk_(desk), clock_(clock) {}

Result<LiveInstance> InstanceBook::peek(const base::InstanceId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end() || clock_.steady() >= found->second.until) return LiveInstance();
  const Entry& entry = found->second;
  if (!entry.instance) return fail(entry.refusal, "the instance is over");
  if (entry.instance->expires <= clock_.now()) {
    return fail(ErrorCode::kInstanceExpired, "the instance has expired");
  }
  return entry.instance;
}

Result<LiveInstance> InstanceBook::judge(const base::InstanceId& id) {
  auto checked = desk_.check(id, clock_.now());
  if (!checked) return checked.failure();
  if (checked->expires <= clock_.now()) {
    return fail(ErrorCode::kInstanceExpired, "the instance has expired");
  }
  return std::make_shared<const storage::Instance>(*std::move(checked));
}

Result<LiveInstance> InstanceBook::find(const base::InstanceId& id) {
  if (auto known = peek(id); !known || *known) return known;
  for (int attempt = 1;; ++attempt) {
    std::uint64_t strikes = 0;
    {
      const std::lock_guard lock(mutex_);
      strikes = strikes_;
    }
    auto judged = judge(id);
    if (!judged && !is_verdict(judged.code())) return judged;
    const std::lock_guard lock(mutex_);
    if (strikes != strikes_ && attempt < kTries) continue;
    if (strikes == strikes_) {
      if (entries_.size() >= options_.max_entries) entries_.clear();
      const auto until =
          clock_.steady() + (judged ? options_.fresh : std::min(options_.refused, options_.fresh));
      entries_[id] = judged ? Entry{*judged, ErrorCode::kInternal, until}
                            : Entry{nullptr, judged.code(), until};
    }
    return judged;
  }
}

void InstanceBook::strike(std::span<const storage::Revocation> revocations) {
  const std::lock_guard lock(mutex_);
  ++strikes_;
  for (const storage::Revocation& revocation : revocations) {
    if (revocation.scope == storage::RevocationScope::kInstance) {
      entries_.erase(revocation.instance);
      continue;
    }
    std::erase_if(entries_, [&](const auto& entry) {
      return entry.second.instance && ends(revocation, *entry.second.instance);
    });
  }
}

void InstanceBook::strike_all() {
  const std::lock_guard lock(mutex_);
  ++strikes_;
  entries_.clear();
}

std::size_t InstanceBook::size() {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace countersign::gateway::classic
