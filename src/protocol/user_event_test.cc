#include "protocol/user_event.h"

#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "protocol/messaging_commands.h"

namespace countersign::protocol {
namespace {

EntryEvent an_entry() {
  return {42,
          std::string("\x00\x01\x02\x03\x04\x05\x06\x07", 8),
          std::string(16, 'i'),
          "epoch",
          "tab",
          R"({"offset":42})",
          R"({"stub":true})"};
}

UserEvent event_of(decltype(UserEvent::what) what) {
  return {"app", {IdentityType::kUsername, "ann"}, std::move(what)};
}

void expect_unreadable(const UserEvent& event) {
  const auto decoded = decode_user_event(encode_user_event(event));
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.code(), ErrorCode::kBadRequest);
}

// JSON by its looks, one line.
rc::Gen<std::string> object_text() {
  return rc::gen::map(rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~')),
                      [](const std::string& inside) { return "{" + inside + "}"; });
}

decltype(UserEvent::what) anything() {
  switch (*rc::gen::inRange(0, 4)) {
    case 0: {
      EntryEvent entry;
      entry.offset = *rc::gen::inRange<std::int64_t>(1, kMaxInteger);
      entry.chain = *rc::gen::container<std::string>(8, rc::gen::arbitrary<char>());
      if (*rc::gen::arbitrary<bool>()) {
        entry.id = *rc::gen::container<std::string>(16, rc::gen::arbitrary<char>());
        entry.epoch = *rc::gen::arbitrary<std::string>();
      }
      entry.device = *rc::gen::arbitrary<std::string>();
      entry.entry = *object_text();
      if (*rc::gen::arbitrary<bool>()) entry.stub = *object_text();
      return entry;
    }
    case 1:
      return LooseEvent{*rc::gen::element(LooseEvent::Kind::kReceipt, LooseEvent::Kind::kTyping),
                        *rc::gen::arbitrary<std::string>(), *object_text()};
    case 2: {
      PresenceEvent presence;
      presence.node = *rc::gen::nonEmpty(rc::gen::arbitrary<std::string>());
      presence.version = *rc::gen::arbitrary<std::uint64_t>();
      presence.devices = *rc::gen::arbitrary<std::uint32_t>();
      presence.away = presence.devices / 3;
      presence.last_seen =
          base::SystemTime(std::chrono::microseconds(*rc::gen::arbitrary<std::int64_t>()));
      return presence;
    }
    default:
      return PresenceQuery{};
  }
}

TEST(UserEvent, ReadsWhatItWrote) {
  EXPECT_TRUE(rc::check([] {
    UserEvent event = event_of(anything());
    event.application = *rc::gen::nonEmpty(rc::gen::arbitrary<std::string>());
    event.user = *rc::gen::element(Identity{IdentityType::kUsername, "Zo\xC3\xAB"},
                                   Identity{IdentityType::kEmail, "a@b.example"},
                                   Identity{IdentityType::kNumber, "+49301234567"});
    const auto decoded = decode_user_event(encode_user_event(event));
    RC_ASSERT(decoded.ok());
    RC_ASSERT(*decoded == event);
  }));
}

TEST(UserEvent, KeepsTheExtremes) {
  PresenceEvent presence{"n", std::numeric_limits<std::uint64_t>::max(),
                         std::numeric_limits<std::uint32_t>::max(),
                         std::numeric_limits<std::uint32_t>::max(), base::SystemTime::min()};
  EntryEvent entry = an_entry();
  entry.offset = kMaxInteger;
  for (const UserEvent& event : {event_of(presence), event_of(entry)}) {
    const auto decoded = decode_user_event(encode_user_event(event));
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded, event);
  }
}

TEST(UserEvent, IsUnreadableWhenItIsCutShortOrGoesOn) {
  const std::string whole = encode_user_event(event_of(an_entry()));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_user_event(whole.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(decode_user_event(whole + '\0').ok());
}

TEST(UserEvent, IsUnreadableInAnotherVersionOrOfAnotherKind) {
  const std::string query = encode_user_event(event_of(PresenceQuery{}));
  ASSERT_TRUE(decode_user_event(query).ok());
  for (int value = 0; value < 256; ++value) {
    std::string other = query;
    other.front() = static_cast<char>(value);
    EXPECT_EQ(decode_user_event(other).ok(), value == 1) << value;
    other = query;
    other.back() = static_cast<char>(value);
    EXPECT_EQ(decode_user_event(other).ok(), value == 4) << value;
  }
}

TEST(UserEvent, HasOneWayToWriteANumber) {
  // version, "a", username, "b", presence, "n", version 0 in one byte; then the same in two.
  const std::string head(
      "\x01\x01"
      "a\x00\x01"
      "b\x03\x01"
      "n",
      9);
  const std::string tail("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 10);
  EXPECT_TRUE(decode_user_event(head + std::string("\x00", 1) + tail).ok());
  EXPECT_FALSE(decode_user_event(head + std::string("\x80\x00", 2) + tail).ok());
  const std::string most(9, '\xFF');
  EXPECT_TRUE(decode_user_event(head + most + "\x01" + tail).ok());
  EXPECT_FALSE(decode_user_event(head + most + "\x02" + tail).ok());
  EXPECT_FALSE(decode_user_event(head + most + "\x81" + std::string("\x00", 1) + tail).ok());
}

TEST(UserEvent, IsUnreadableWhenItSaysWhatCannotBe) {
  EntryEvent entry = an_entry();
  entry.offset = 0;
  expect_unreadable(event_of(entry));
  entry.offset = kMaxInteger + 1;
  expect_unreadable(event_of(entry));
  entry = an_entry();
  entry.chain.pop_back();
  expect_unreadable(event_of(entry));
  entry = an_entry();
  entry.id.pop_back();
  expect_unreadable(event_of(entry));
  for (const std::string text : {"", "[]", "{", "{}\n{}"}) {
    entry = an_entry();
    entry.entry = text;
    expect_unreadable(event_of(entry));
    expect_unreadable(event_of(LooseEvent{LooseEvent::Kind::kTyping, "k", text}));
  }
  expect_unreadable(event_of(PresenceEvent{"", 1, 1, 0, {}}));
  expect_unreadable(event_of(PresenceEvent{"n", 1, 1, 2, {}}));
  UserEvent event = event_of(PresenceQuery{});
  event.application.clear();
  expect_unreadable(event);
  for (const Identity& nobody :
       {Identity{IdentityType::kUsername, ""}, Identity{IdentityType::kUsername, "a\nb"},
        Identity{IdentityType::kEmail, "ann"}}) {
    event = event_of(PresenceQuery{});
    event.user = nobody;
    expect_unreadable(event);
  }
}

TEST(UserEvent, IsBounded) {
  EntryEvent entry = an_entry();
  entry.entry = "{" + std::string(kMaxUserEventBytes, 'x') + "}";
  expect_unreadable(event_of(entry));
}

}  // namespace
}  // namespace countersign::protocol
