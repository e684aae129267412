#include "ticket/timestamp.h"

#include <limits>

namespace countersign {
namespace {

constexpr std::int64_t kSecondsPerDay = 86400;
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

// Reads `count` ASCII digits at `at`; negative if there is anything else.
int digits(const char* at, int count) noexcept {
  int value = 0;
  for (int i = 0; i < count; ++i) {
    const int digit = at[i] - '0';
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

char* put_two_digits(char* out, unsigned value) noexcept {
  out[0] = static_cast<char>('0' + value / 10);
  out[1] = static_cast<char>('0' + value % 10);
  return out + 2;
}

}  // namespace

Timestamp Timestamp::plus(std::chrono::seconds delta) const noexcept {
  using Limits = std::numeric_limits<std::int64_t>;
  const std::int64_t count = delta.count();
  if (count > 0 && seconds > Limits::max() - count) return {Limits::max(), nanoseconds};
  if (count < 0 && seconds < Limits::min() - count) return {Limits::min(), nanoseconds};
  return {seconds + count, nanoseconds};
}

Instant Timestamp::to_instant() const noexcept {
  constexpr std::int64_t kMax =
      std::numeric_limits<std::int64_t>::max() / kNanosecondsPerSecond - 1;
  if (seconds > kMax) return Instant::max();
  if (seconds < -kMax) return Instant::min();
  return Instant{std::chrono::nanoseconds{seconds * kNanosecondsPerSecond + nanoseconds}};
}

Timestamp Timestamp::from(Instant instant) noexcept {
  const std::int64_t count = instant.time_since_epoch().count();
  std::int64_t seconds = count / kNanosecondsPerSecond;
  std::int64_t rest = count % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    --seconds;
  }
  return {seconds, static_cast<std::int32_t>(rest)};
}

std::optional<Timestamp> parse_timestamp(std::string_view text, ZoneRule zone) noexcept {
  // YYYY-MM-DDThh:mm:ss
  if (text.size() < 19) return std::nullopt;
  const char* at = text.data();
  const int year = digits(at, 4);
  const int month = digits(at + 5, 2);
  const int day = digits(at + 8, 2);
  const int hour = digits(at + 11, 2);
  const int minute = digits(at + 14, 2);
  const int second = digits(at + 17, 2);
  if ((year | month | day | hour | minute | second) < 0) return std::nullopt;
  if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':') {
    return std::nullopt;
  }
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  text.remove_prefix(19);

  Timestamp result;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    int count = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      if (++count > 9) return std::nullopt;
      result.nanoseconds = result.nanoseconds * 10 + (text.front() - '0');
      text.remove_prefix(1);
    }
    if (count == 0) return std::nullopt;
    for (; count < 9; ++count) result.nanoseconds *= 10;
  }

  std::int64_t offset = 0;
  if (text.empty()) {
    if (zone == ZoneRule::kRequired) return std::nullopt;
  } else if (text != "Z") {
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
      return std::nullopt;
    }
    const int offset_hour = digits(text.data() + 1, 2);
    const int offset_minute = digits(text.data() + 4, 2);
    if (offset_hour < 0 || offset_hour > 23 || offset_minute < 0 || offset_minute > 59) {
      return std::nullopt;
    }
    offset = offset_hour * 3600 + offset_minute * 60;
    if (text[0] == '-') offset = -offset;
  }
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  result.seconds = days * kSecondsPerDay + hour * 3600 + minute * 60 + second - offset;
  return result;
}

bool is_writable(std::chrono::sys_seconds instant) noexcept {
  constexpr std::chrono::sys_seconds kFirst =
      std::chrono::sys_days{std::chrono::year{0} / std::chrono::January / 1};
  constexpr std::chrono::sys_seconds kEnd =
      std::chrono::sys_days{std::chrono::year{10000} / std::chrono::January / 1};
  return instant >= kFirst && instant < kEnd;
}

char* write_timestamp(std::chrono::sys_seconds instant, char* out) noexcept {
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{day};
  const auto second = static_cast<unsigned>((instant - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  out = put_two_digits(out, year / 100);
  out = put_two_digits(out, year % 100);
  *out++ = '-';
  out = put_two_digits(out, static_cast<unsigned>(date.month()));
  *out++ = '-';
  out = put_two_digits(out, static_cast<unsigned>(date.day()));
  *out++ = 'T';
  out = put_two_digits(out, second / 3600);
  *out++ = ':';
  out = put_two_digits(out, second / 60 % 60);
  *out++ = ':';
  out = put_two_digits(out, second % 60);
  *out++ = 'Z';
  return out;
}

std::string timestamp_text(Timestamp timestamp) {
  std::string text(kTimestampLength, '\0');
  write_timestamp(std::chrono::sys_seconds{std::chrono::seconds{timestamp.seconds}}, text.data());
  if (timestamp.nanoseconds == 0) return text;
  std::string fraction = std::to_string(timestamp.nanoseconds);
  fraction.insert(0, 9 - fraction.size(), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return text.insert(kTimestampLength - 1, "." + fraction);
}

}  // namespace countersign
