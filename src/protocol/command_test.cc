#include "protocol/command.h"

#include <string>

#include <gtest/gtest.h>

#include "protocol/command_test_support.h"

namespace countersign::protocol {
namespace {

TEST(CommandDecoder, TakesTheEmptyObjectForAPong) {
  for (const std::string_view text : {"{}", " { } ", "\t{}\r"}) {
    const auto message = decode_message(text);
    ASSERT_TRUE(message.ok());
    EXPECT_TRUE(std::holds_alternative<Pong>(*message));
  }
}

TEST(CommandDecoder, ReadsConnectWithATicket) {
  const Command command =
      command_of(R"({"id":1,"connect":{"userTicket":"a:b","device":"tab-1","caps":["im"],)"
                 R"("client":{"name":"sdk","version":"0.1"},"legs":[]}})");
  EXPECT_EQ(command.id, 1U);
  EXPECT_EQ(std::get<Connect>(command.verb), (Connect{"a:b", "", "", "tab-1", {"sdk", "0.1"}}));
}

TEST(CommandDecoder, ReadsConnectWithAnInstance) {
  const Command command = command_of(R"({"id":7,"connect":{"instance":"i","secret":"s"}})");
  EXPECT_EQ(std::get<Connect>(command.verb), (Connect{"", "i", "s", "", {}}));
}

TEST(CommandDecoder, ReadsThatAClientWantsItsInboxAndWhereItStands) {
  const auto connect = [](std::string_view text) {
    return std::get<Connect>(command_of(text).verb);
  };
  EXPECT_FALSE(connect(R"({"id":1,"connect":{"userTicket":"t"}})").messaging);
  EXPECT_FALSE(connect(R"({"id":1,"connect":{"userTicket":"t","caps":["calls"]}})").messaging);
  const Connect asks = connect(R"({"id":1,"connect":{"userTicket":"t","caps":["x","messaging"]}})");
  EXPECT_TRUE(asks.messaging);
  EXPECT_EQ(asks.resume, std::nullopt);
  const Connect resumes =
      connect(R"({"id":1,"connect":{"userTicket":"t","caps":["messaging"],)"
              R"("resume":{"epoch":"e1","offset":41,"chain":"00ff10a0b0c0d0e0"}}})");
  EXPECT_EQ(resumes.resume,
            (ClientPosition{"e1", 41, std::string("\x00\xff\x10\xa0\xb0\xc0\xd0\xe0", 8)}));
}

TEST(CommandDecoder, ReadsTheOtherVerbs) {
  EXPECT_EQ(std::get<Refresh>(command_of(R"({"refresh":{"userTicket":"t"},"id":2})").verb),
            Refresh{"t"});
  EXPECT_TRUE(std::holds_alternative<Ping>(command_of(R"({"id":3,"ping":{}})").verb));
  EXPECT_TRUE(std::holds_alternative<Terminate>(command_of(R"({"id":4,"terminate":{}})").verb));
  EXPECT_EQ(command_of(R"({"id":4294967295,"ping":{}})").id, 4294967295U);
}

TEST(CommandDecoder, IgnoresFieldsItDoesNotKnow) {
  const Command command = command_of(R"({"id":3,"trace":"x","ping":{"sent":[1,{"a":null}]}})");
  EXPECT_TRUE(std::holds_alternative<Ping>(command.verb));
}

TEST(CommandDecoder, RefusesUnknownVerbsWith104) {
  expect_refused(R"({"id":1,"Send":{}})", ErrorCode::kUnknownVerb);
  expect_refused(R"({"id":1,"call.start":{},"x":1})", ErrorCode::kUnknownVerb);
  expect_refused(R"({"id":1,"Ping":{}})", ErrorCode::kUnknownVerb);
}

TEST(CommandDecoder, RefusesWhatDoesNotFitWith107) {
  for (const std::string_view text : {
           R"({"id":1})",
           R"({"id":1,"ping":null})",
           R"({"id":1,"ping":[]})",
           R"({"id":1,"ping":{},"terminate":{}})",
           R"({"id":1,"connect":{}})",
           R"({"id":1,"connect":{"userTicket":""}})",
           R"({"id":1,"connect":{"userTicket":5}})",
           R"({"id":1,"connect":{"instance":"i"}})",
           R"({"id":1,"connect":{"secret":"s"}})",
           R"({"id":1,"connect":{"userTicket":"t","instance":"i","secret":"s"}})",
           R"({"id":1,"connect":{"userTicket":"t","device":""}})",
           R"({"id":1,"connect":{"userTicket":"t","device":"a b"}})",
           R"({"id":1,"connect":{"userTicket":"t","device":"é"}})",
           R"({"id":1,"connect":{"userTicket":"t","client":"sdk"}})",
           R"({"id":1,"connect":{"userTicket":"t","client":{"name":3}}})",
           R"({"id":1,"connect":{"userTicket":"t","caps":"messaging"}})",
           R"({"id":1,"connect":{"userTicket":"t","caps":[1]}})",
           R"({"id":1,"connect":{"userTicket":"t","resume":null}})",
           R"({"id":1,"connect":{"userTicket":"t","resume":{}}})",
           R"({"id":1,"connect":{"userTicket":"t","resume":{"epoch":1}}})",
           R"({"id":1,"connect":{"userTicket":"t","resume":{"epoch":"e","offset":1}}})",
           R"({"id":1,"refresh":{}})",
           R"({"id":1,"refresh":{"userTicket":null}})",
       }) {
    expect_refused(text, ErrorCode::kBadRequest);
  }
}

TEST(CommandDecoder, BoundsTheLengthOfIds) {
  const std::string longest(kMaxIdBytes, 'd');
  const auto with_device = [](const std::string& device) {
    return R"({"id":1,"connect":{"userTicket":"t","device":")" + device + R"("}})";
  };
  EXPECT_EQ(std::get<Connect>(command_of(with_device(longest)).verb).device, longest);
  expect_refused(with_device(longest + "d"), ErrorCode::kBadRequest);
}

TEST(CommandDecoder, RefusesUPlus0000AndLoneSurrogatesWith107AndKeepsTheId) {
  for (const std::string_view text : {
           R"({"id":9,"ping":{"x":"\u0000"}})",
           R"({"id":9,"ping":{"a\u0000b":1}})",
           R"({"id":9,"ping":{"x":"\ud800"}})",
           R"({"id":9,"ping":{"x":"\uDC00"}})",
           R"({"id":9,"ping":{"x":"\ud800\ud800"}})",
           R"({"id":9,"ping":{"x":"\ud83d\u0041"}})",
           R"({"id":9,"ping":{"x":"\ud800 and \\ud800"}})",
           R"({"id":9,"ping":{"\ud800":1}})",
       }) {
    expect_refused(text, ErrorCode::kBadRequest);
    EXPECT_EQ(command_of(text).id, 9U);
  }
  EXPECT_TRUE(std::holds_alternative<Ping>(
      command_of(R"({"id":9,"ping":{"x":"\ud83d\ude00 \\ud800"}})").verb));
}

TEST(CommandDecoder, RefusesMembersThatOccurTwice) {
  expect_refused(R"({"id":1,"ping":{},"ping":{}})", ErrorCode::kBadRequest);
  expect_refused(R"({"id":1,"connect":{"userTicket":"a","userTicket":"b"}})",
                 ErrorCode::kBadRequest);
  expect_refused(R"({"id":1,"ping":{"x":{"a":1,"\u0061":2}}})", ErrorCode::kBadRequest);
  expect_garbage(R"({"id":1,"id":2,"ping":{}})");
}

TEST(CommandDecoder, TakesWhatHasNoUsableIdForGarbage) {
  for (const std::string_view text : {
           "",
           " ",
           "null",
           "[]",
           "1",
           "\"{}\"",
           "{",
           "{}{}",
           R"({"ping":{}})",
           R"({"id":0,"ping":{}})",
           R"({"id":-1,"ping":{}})",
           R"({"id":1.0,"ping":{}})",
           R"({"id":1e0,"ping":{}})",
           R"({"id":4294967296,"ping":{}})",
           R"({"id":"1","ping":{}})",
           R"({"id":null,"ping":{}})",
           R"({"id":1,"ping":{},})",
           R"({"id":1,"ping":{}} // comment)",
           R"({id:1,"ping":{}})",
           "{\"id\":1,\"ping\":{\"x\":\"\xC3\"}}",
           "{\"id\":1,\"ping\":{\"x\":\"\x01\"}}",
       }) {
    expect_garbage(text);
  }
}

TEST(CommandDecoder, BoundsTheDepth) {
  const auto nested = [](std::size_t depth) {
    return R"({"id":1,"ping":{"x":)" + std::string(depth - 2, '[') + std::string(depth - 2, ']') +
           "}}";
  };
  EXPECT_TRUE(std::holds_alternative<Ping>(command_of(nested(kMaxDepth)).verb));
  expect_garbage(nested(kMaxDepth + 1));
  expect_garbage(nested(30'000));
}

TEST(FrameReader, WalksThroughTheObjectsOfAFrame) {
  FrameReader reader("{}\n{\"id\":1,\"ping\":{}}\n{\"id\":2,\"terminate\":{}}");
  EXPECT_TRUE(std::holds_alternative<Pong>(**reader.next()));
  EXPECT_EQ(std::get<Command>(**reader.next()).id, 1U);
  EXPECT_EQ(std::get<Command>(**reader.next()).id, 2U);
  EXPECT_EQ(reader.next(), std::nullopt);
}

TEST(FrameReader, EndsAtGarbage) {
  FrameReader reader("{}\n\n{}");
  EXPECT_TRUE(reader.next()->ok());
  EXPECT_FALSE(reader.next()->ok());
  EXPECT_EQ(reader.next(), std::nullopt);
}

TEST(FrameReader, TakesAnEmptyFrameForGarbage) {
  FrameReader reader("");
  EXPECT_FALSE(reader.next()->ok());
  EXPECT_EQ(reader.next(), std::nullopt);
}

}  // namespace
}  // namespace countersign::protocol
