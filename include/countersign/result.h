// Result<T>: a value or an Error. The one way functions of this project report what input, peers,
// disks or the network can cause; broken invariants of our own abort instead.
// Thread-safety: a value type, like std::string.
#ifndef COUNTERSIGN_RESULT_H_
#define COUNTERSIGN_RESULT_H_

#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "countersign/codes.h"

namespace countersign {

/// Why something failed. `code` is one of the closed list in api/codes.json. `detail` is for logs,
/// never leaves the host, and never holds a secret, password, ticket or cookie.
struct Error {
  ErrorCode code;
  std::string detail;

  friend bool operator==(const Error&, const Error&) = default;
};

/// A value or an Error. A class rather than an alias, so that a dropped result is reported by the
/// compiler in every place, also behind `co_await`.
///
///     Result<Account> account = store.find_account(id);
///     if (!account) return account.failure();
///     use(*account);
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;

  /// True when there is a value.
  bool ok() const noexcept { return this->has_value(); }
  /// The code of the failure. Precondition: !ok().
  ErrorCode code() const { return this->error().code; }
  /// The failure in the form every Result accepts: `return r.failure();`. Precondition: !ok().
  tl::unexpected<Error> failure() const& { return tl::make_unexpected(this->error()); }
  tl::unexpected<Error> failure() && { return tl::make_unexpected(std::move(*this).error()); }
};

/// Makes a failure: `return fail(ErrorCode::kBadBase64);`.
inline tl::unexpected<Error> fail(ErrorCode code, std::string detail = {}) {
  return tl::make_unexpected(Error{code, std::move(detail)});
}

}  // namespace countersign

#endif  // COUNTERSIGN_RESULT_H_
