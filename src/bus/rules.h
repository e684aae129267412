// What every adapter asks before anything else.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_BUS_RULES_H_
#define COUNTERSIGN_BUS_RULES_H_

#include <chrono>
#include <string>
#include <string_view>

#include "bus/bus.h"

namespace countersign::bus {

/// kBadRequest unless the name of a bucket and its time to live are within the contract.
inline Result<void> check_bucket(std::string_view bucket, std::chrono::milliseconds time_to_live) {
  if (!is_subject(bucket) || bucket.find('.') != std::string_view::npos) {
    return fail(ErrorCode::kBadRequest, "a bucket of leases is named by one subject token");
  }
  if (time_to_live < std::chrono::seconds(1) || time_to_live > std::chrono::hours(24)) {
    return fail(ErrorCode::kBadRequest, "leases live from 1 s to 1 day");
  }
  return {};
}

/// kBadRequest unless it names a lease.
inline Result<void> check_key(std::string_view key) {
  if (is_subject(key)) return {};
  return fail(ErrorCode::kBadRequest, "a lease is named by a subject");
}

/// kBadRequest unless a bus takes it.
inline Result<void> check_publication(std::string_view subject, std::string_view payload) {
  if (!is_subject(subject)) return fail(ErrorCode::kBadRequest, "this is no subject");
  if (payload.size() > kMaxPayloadBytes) {
    return fail(ErrorCode::kBadRequest, "a payload of " + std::to_string(payload.size()) +
                                            " bytes; a bus takes " +
                                            std::to_string(kMaxPayloadBytes));
  }
  return {};
}

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_RULES_H_
