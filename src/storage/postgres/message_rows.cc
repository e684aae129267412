#include "storage/postgres/message_rows.h"

#include <array>
#include <utility>

namespace countersign::storage::postgres {
namespace {

static_assert(static_cast<int>(IdentityType::kUsername) == 0 &&
                  static_cast<int>(IdentityType::kEmail) == 1 &&
                  static_cast<int>(IdentityType::kNumber) == 2,
              "the numbers of identity types are stored");

constexpr std::array<std::pair<std::string_view, ErrorCode>, 13> kWords = {{
    {"absent", ErrorCode::kAbsent},
    {"above_top", ErrorCode::kUnrecoverablePosition},
    {"bad_state", ErrorCode::kBadState},
    {"blocked", ErrorCode::kBlocked},
    {"epoch", ErrorCode::kUnrecoverablePosition},
    {"idempotency_conflict", ErrorCode::kIdempotencyConflict},
    {"limit_exceeded", ErrorCode::kLimitExceeded},
    {"overloaded", ErrorCode::kOverloaded},
    {"permission_denied", ErrorCode::kPermissionDenied},
    {"recipient_limit", ErrorCode::kRecipientLimit},
    {"revoked", ErrorCode::kRevoked},
    {"too_many", ErrorCode::kLimitExceeded},
    {"unknown_target", ErrorCode::kUnknownTarget},
}};

}  // namespace

std::int64_t type_number(const Identity& identity) {
  return static_cast<std::int64_t>(identity.type);
}

Identity read_identity(const Row& row, int first) {
  return Identity{static_cast<IdentityType>(row.integer(first)), row.bytes(first + 1)};
}

Message read_message(const Row& row, int first) {
  Message message;
  message.conversation = row.bytes(first);
  message.seq = row.integer(first + 1);
  message.kind = static_cast<MessageKind>(row.integer(first + 2));
  message.id = row.bytes(first + 3);
  message.sender = read_identity(row, first + 4);
  message.device = row.bytes(first + 6);
  message.time = row.time(first + 7);
  if (!row.is_null(first + 8)) message.expires = row.time(first + 8);
  message.body = row.bytes(first + 9);
  message.gone = row.flag(first + 10);
  return message;
}

ErrorCode code_of_word(std::string_view word) {
  for (const auto& [known, code] : kWords) {
    if (known == word) return code;
  }
  return ErrorCode::kStoreFailed;
}

void UserArrays::add(const UserKey& user) {
  applications.push_back(user.application);
  types.push_back(type_number(user.identity));
  endpoints.push_back(user.identity.endpoint);
}

UserArrays arrays_of(std::span<const UserKey> users) {
  UserArrays arrays;
  for (const UserKey& user : users) arrays.add(user);
  return arrays;
}

}  // namespace countersign::storage::postgres
