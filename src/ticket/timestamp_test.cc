#include "ticket/timestamp.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace countersign {
namespace {

std::optional<Timestamp> parse(std::string_view text) {
  return parse_timestamp(text, ZoneRule::kRequired);
}

TEST(Timestamp, ReadsEveryFormProducersWrite) {
  EXPECT_EQ(parse("2026-01-01T02:00:00Z"), (Timestamp{1767232800, 0}));
  EXPECT_EQ(parse("2026-01-01T02:00:00.123Z"), (Timestamp{1767232800, 123000000}));
  EXPECT_EQ(parse("2026-01-01T02:00:00.1234567Z"), (Timestamp{1767232800, 123456700}));
  EXPECT_EQ(parse("2026-01-01T02:00:00.000000001Z"), (Timestamp{1767232800, 1}));
  EXPECT_EQ(parse("2026-01-01T02:00:00+00:00"), (Timestamp{1767232800, 0}));
  EXPECT_EQ(parse("2026-01-01T03:30:00+01:30"), (Timestamp{1767232800, 0}));
  EXPECT_EQ(parse("2025-12-31T22:30:00-03:30"), (Timestamp{1767232800, 0}));
  EXPECT_EQ(parse("2024-02-29T00:00:00Z"), (Timestamp{1709164800, 0}));
}

TEST(Timestamp, ReadsAMissingZoneAsUtcOnlyWhenAllowed) {
  EXPECT_EQ(parse("2026-01-01T02:00:00"), std::nullopt);
  EXPECT_EQ(parse_timestamp("2026-01-01T02:00:00.5", ZoneRule::kMissingIsUtc),
            (Timestamp{1767232800, 500000000}));
}

TEST(Timestamp, RefusesEverythingElse) {
  for (const char* text : {"",
                           "2026-01-01",
                           "2026-01-01T02:00:00z",
                           "2026-01-01t02:00:00Z",
                           "2026-01-01 02:00:00Z",
                           "2026-1-01T02:00:00Z",
                           "2026-13-01T02:00:00Z",
                           "2026-00-01T02:00:00Z",
                           "2026-02-29T02:00:00Z",
                           "2026-04-31T02:00:00Z",
                           "2026-01-00T02:00:00Z",
                           "2026-01-01T24:00:00Z",
                           "2026-01-01T02:60:00Z",
                           "2026-01-01T02:00:60Z",
                           "2026-01-01T02:00:00.Z",
                           "2026-01-01T02:00:00.1234567890Z",
                           "2026-01-01T02:00:00,5Z",
                           "2026-01-01T02:00:00+0100",
                           "2026-01-01T02:00:00+01",
                           "2026-01-01T02:00:00+24:00",
                           "2026-01-01T02:00:00+01:60",
                           "2026-01-01T02:00:00Z ",
                           " 2026-01-01T02:00:00Z",
                           "2026-01-01T02:00Z",
                           "+026-01-01T02:00:00Z",
                           "2026-01-01T02:00:00ZZ",
                           "-026-01-01T02:00:00Z",
                           "2026-01-01T-2:00:00Z"}) {
    EXPECT_EQ(parse_timestamp(text, ZoneRule::kMissingIsUtc), std::nullopt) << text;
  }
}

TEST(Timestamp, HoldsTheWholeRangeOfFourDigitYears) {
  EXPECT_EQ(parse("0000-01-01T00:00:00Z")->to_instant(), Instant::min());
  EXPECT_EQ(parse("9999-12-31T23:59:59.999999999Z")->to_instant(), Instant::max());
  EXPECT_LT(*parse("0000-01-01T00:00:00Z"), Timestamp::from(Instant::min()));
  EXPECT_GT(*parse("9999-12-31T23:59:59Z"), Timestamp::from(Instant::max()));
}

TEST(Timestamp, WritesWhatItReads) {
  EXPECT_TRUE(rc::check([] {
    const Timestamp timestamp{*rc::gen::inRange<std::int64_t>(-62167219200, 253402300800),
                              *rc::gen::inRange(0, 1000000000)};
    RC_ASSERT(parse(timestamp_text(timestamp)) == timestamp);
  }));
  EXPECT_EQ(timestamp_text({1767232800, 0}), "2026-01-01T02:00:00Z");
  EXPECT_EQ(timestamp_text({1767232800, 120000000}), "2026-01-01T02:00:00.12Z");
}

TEST(Timestamp, ConvertsInstantsBeforeTheEpochWithoutNegativeFractions) {
  EXPECT_EQ(Timestamp::from(Instant{std::chrono::nanoseconds{-1}}), (Timestamp{-1, 999999999}));
  EXPECT_EQ((Timestamp{-1, 999999999}).to_instant(), Instant{std::chrono::nanoseconds{-1}});
}

}  // namespace
}  // namespace countersign
