#include "protocol/mxp_frame.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "ticket/base64.h"

namespace countersign::protocol {
namespace {

constexpr std::string_view kSession = "8a1f0c1e-9d0e-4d39-8f2b-3a5d1b0f7c11";
constexpr std::string_view kTransport = "c-abcdefghijklmnopqrstuvwxyz";

MxpIv iv_of(std::uint8_t first) {
  MxpIv iv{};
  for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<std::uint8_t>(first + i);
  return iv;
}

std::string key_of(std::size_t size) {
  std::string key;
  for (std::size_t i = 0; i < size; ++i) key += static_cast<char>(i);
  return key;
}

// Written by the SDK itself.
constexpr std::string_view kVectorText =
    R"({"bd":"{\"t\":\"hi\"}","md":1,"bt":"msg","bv":10,"fu":"alice","fi":"i1:7","fd":"i1","fc":"","fs":"t-alice"})";
constexpr std::string_view kVectorPayload =
    "oKGio6SlpqeoqaqrrK2urwx2G+de0JBj5xfCK1xyEP+Mg80Gm2Qmo/CrQmRegz6cF51MI/"
    "mngBybk1SxMwZc4HI+R1DhkHZM"
    "Ddi4f3CGB/yBbPakTIX1AMR8vAaZvoI9ZXE1wLUWVz66lYeWvVtU1c2wp0NLAVCdkyqomgMKv8U=";

TEST(MxpFrame, EncryptsAsTheSdkDoes) {
  const auto payload = encrypt_mxp(key_of(32), iv_of(0xa0), kVectorText);
  ASSERT_TRUE(payload);
  EXPECT_EQ(*payload, kVectorPayload);
  const auto text = decrypt_mxp(key_of(32), kVectorPayload);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, kVectorText);
}

TEST(MxpFrame, DecryptionInvertsEncryptionWithBothKeySizes) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    for (const std::size_t size : {16, 32}) {
      const auto payload = encrypt_mxp(key_of(size), iv_of(3), text);
      RC_ASSERT(payload.ok());
      const auto back = decrypt_mxp(key_of(size), *payload);
      RC_ASSERT(back.ok());
      RC_ASSERT(*back == text);
    }
  }));
}

TEST(MxpFrame, RefusesWhatIsNoPayload) {
  EXPECT_FALSE(encrypt_mxp("short", iv_of(0), "a"));
  for (const std::string payload : {"", "AAAA", "####", "AAECAwQFBgcICQoLDA0ODw=="}) {
    const auto text = decrypt_mxp(key_of(16), payload);
    ASSERT_FALSE(text) << payload;
    EXPECT_EQ(text.code(), ErrorCode::kBadRequest);
  }
  EXPECT_EQ(decrypt_mxp(key_of(16), std::string(kMaxMxpPayloadBytes + 4, 'A')).code(),
            ErrorCode::kMessageTooLarge);
}

TEST(MxpFrame, ParsingInvertsWriting) {
  EXPECT_TRUE(rc::check([] {
    const auto name = rc::gen::container<std::string>(rc::gen::inRange<char>('!', '~'));
    MxpFrame frame;
    frame.session = "s" + (*name).substr(0, kMaxMxpNameBytes - 1);
    if (*rc::gen::arbitrary<bool>()) frame.transport = "t" + (*name).substr(0, 40);
    frame.count = *rc::gen::inRange<std::uint32_t>(1, kMaxMxpParts + 1);
    frame.index = *rc::gen::inRange<std::uint32_t>(0, frame.count);
    frame.mark = frame.count == 1 ? "-" : std::to_string(*rc::gen::inRange(0, 2'000'000'000));
    frame.payload = std::string(*rc::gen::inRange<std::size_t>(1, 1'400), 'A');
    const auto read = parse_mxp_frame(encode_mxp_frame(frame));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == frame);
  }));
}

TEST(MxpFrame, WhatIsSplitJoinsAgainWithinTheSizeOfAFrame) {
  EXPECT_TRUE(rc::check([] {
    const std::string payload(*rc::gen::inRange<std::size_t>(1, kMaxMxpPayloadBytes), 'x');
    const auto frames = split_mxp_payload(kSession, kTransport, payload, 1'999'999'999);
    std::string joined;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto frame = parse_mxp_frame(frames[i]);
      RC_ASSERT(frame.ok());
      RC_ASSERT(frame->index == i && frame->count == frames.size());
      RC_ASSERT(frame->session == kSession && frame->transport == kTransport);
      joined += frame->payload;
    }
    RC_ASSERT(joined == payload);
  }));
}

TEST(MxpFrame, OnePartHasNoMark) {
  EXPECT_EQ(split_mxp_payload("s", "t", "abc", 7), std::vector<std::string>{"10 s - 0 1 abc t"});
  EXPECT_EQ(split_mxp_payload("s", "", "abc", 7), std::vector<std::string>{"10 s - 0 1 abc"});
  const auto two = split_mxp_payload("s", "t", std::string(1'484, 'a'), 7);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_TRUE(two[1].starts_with("10 s 7 1 2 a t"));
}

TEST(MxpFrame, RefusesWhatIsNoFrame) {
  for (const char* text : {"",
                           "10",
                           "10 ",
                           "11 s - 0 1 AA",
                           "10 s - 0 1",
                           "10 s - 0 1 ",
                           "10 s - 0 1 AA ",
                           "10  s - 0 1 AA",
                           "10 s - 0 1 AA t t",
                           "10 s - 1 1 AA",
                           "10 s - 0 0 AA",
                           "10 s - 0 2 AA",
                           "10 s 7 0 1 AA",
                           "10 s x 0 2 AA",
                           "10 s 7 00 2 AA",
                           "10 s 7 +1 2 AA",
                           "10 s 7 2 2 AA",
                           "10 s 12345678901 0 2 AA",
                           "10 s - 0 1 A\xc3\xa4",
                           "10 s\n - 0 1 AA"}) {
    const auto frame = parse_mxp_frame(text);
    EXPECT_FALSE(frame) << text;
  }
  EXPECT_EQ(parse_mxp_frame("10 s 7 0 65 AA").code(), ErrorCode::kMessageTooLarge);
  EXPECT_EQ(parse_mxp_frame("10 s - 0 1 " + std::string(kMaxMxpFrameBytes, 'A')).code(),
            ErrorCode::kMessageTooLarge);
}

TEST(MxpFrame, AnyBytesAreAFrameOrARefusal) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    const auto frame = parse_mxp_frame("10 s - 0 1 " + bytes);
    if (frame) RC_ASSERT(encode_mxp_frame(*frame) == "10 s - 0 1 " + bytes);
  }));
}

}  // namespace
}  // namespace countersign::protocol
