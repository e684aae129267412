// Instants as tickets and signed requests write them: a strict subset of ISO 8601.
//
//     YYYY-MM-DD "T" hh:mm:ss [ "." 1*9 digits ] ( "Z" / ("+" / "-") hh:mm )
//
// Seconds and nanoseconds are kept apart, because years 0000 to 9999 do not fit into 64 bits of
// nanoseconds: a ticket of the year 9999 must be "not yet valid", not an overflow.
// Thread-safety: value types and pure functions.
// Source: docs/reference/ticket-format.md, "Time".
#ifndef COUNTERSIGN_TICKET_TIMESTAMP_H_
#define COUNTERSIGN_TICKET_TIMESTAMP_H_

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/replay_cache.h"

namespace countersign {

/// An instant of any representable year.
struct Timestamp {
  std::int64_t seconds = 0;      ///< since 1970-01-01T00:00:00Z
  std::int32_t nanoseconds = 0;  ///< 0 to 999999999

  // NOLINTNEXTLINE(modernize-use-nullptr): the check trips over the defaulted operator.
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;

  /// This instant and a time, at the far end of what can be held rather than beyond it.
  Timestamp plus(std::chrono::seconds delta) const noexcept;
  /// The same instant; the nearest one that 64 bits of nanoseconds hold for years before 1678 and
  /// after 2261.
  Instant to_instant() const noexcept;
  static Timestamp from(Instant instant) noexcept;
};

enum class ZoneRule { kRequired, kMissingIsUtc };

/// Parses the grammar above, and nothing else.
std::optional<Timestamp> parse_timestamp(std::string_view text, ZoneRule zone) noexcept;

/// Length of what write_timestamp() writes.
inline constexpr std::size_t kTimestampLength = 20;
/// True for the years 0000 to 9999, which four digits can write.
bool is_writable(std::chrono::sys_seconds instant) noexcept;
/// Writes `YYYY-MM-DDThh:mm:ssZ`; returns the end. Precondition: is_writable(instant).
char* write_timestamp(std::chrono::sys_seconds instant, char* out) noexcept;

/// The instant as text with as many fraction digits as it needs, zone `Z`.
/// Precondition: year 0 to 9999.
std::string timestamp_text(Timestamp timestamp);

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_TIMESTAMP_H_
