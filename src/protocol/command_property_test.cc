// For every command that can be written: reading what was written gives it back, alone or in a
// frame with others.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "protocol/client_messages.h"
#include "protocol/command.h"

namespace countersign::protocol {
namespace {

// Text that JSON must escape in every way; valid UTF-8 without U+0000, 1 to `max` bytes.
rc::Gen<std::string> text(std::size_t max) {
  const auto piece = rc::gen::element<std::string>(
      "a", "\"", "\\", "\n", "\x1F", "é", "\xE2\x80\xA8", "😀", "/", " ", "u0000", "\\ud800");
  return rc::gen::map(rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(piece)),
                      [max](const std::vector<std::string>& pieces) {
                        std::string out;
                        for (const std::string& part : pieces) {
                          if (out.size() + part.size() <= max) out += part;
                        }
                        return out.empty() ? std::string("x") : out;
                      });
}

rc::Gen<std::string> id_text() {
  return rc::gen::map(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>('!', '~'))),
      [](std::string id) {
        if (id.size() > kMaxIdBytes) id.resize(kMaxIdBytes);
        return id;
      });
}

rc::Gen<std::string> maybe(rc::Gen<std::string> gen) {
  return rc::gen::oneOf(rc::gen::just(std::string()), std::move(gen));
}

Command any_command() {
  Command command;
  command.id = *rc::gen::inRange<std::uint32_t>(1, 4294967295U);
  switch (*rc::gen::inRange(0, 4)) {
    case 0: {
      Connect connect;
      if (*rc::gen::arbitrary<bool>()) {
        connect.user_ticket = *text(300);
      } else {
        connect.instance = *id_text();
        connect.secret = *text(kMaxIdBytes);
      }
      connect.device = *maybe(id_text());
      connect.client = {*maybe(text(kMaxIdBytes)), *maybe(text(kMaxIdBytes))};
      command.verb = std::move(connect);
      break;
    }
    case 1:
      command.verb = Refresh{*text(300)};
      break;
    case 2:
      command.verb = Terminate{};
      break;
    default:
      command.verb = Ping{};
  }
  return command;
}

TEST(CommandProperty, DecodingInvertsEncoding) {
  EXPECT_TRUE(rc::check([] {
    const Command command = any_command();
    const auto message = decode_message(encode_command(command));
    RC_ASSERT(message.ok());
    RC_ASSERT(std::get<Command>(*message) == command);
  }));
}

TEST(CommandProperty, AFrameGivesItsCommandsInOrder) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Command> commands;
    std::string frame;
    const int count = *rc::gen::inRange(1, 6);
    for (int i = 0; i < count; ++i) {
      commands.push_back(any_command());
      frame += (i == 0 ? "" : "\n") + encode_command(commands.back());
    }
    FrameReader reader(frame);
    for (const Command& command : commands) {
      const auto message = reader.next();
      RC_ASSERT(message && message->ok());
      RC_ASSERT(std::get<Command>(**message) == command);
    }
    RC_ASSERT(!reader.next());
  }));
}

TEST(CommandProperty, AnyBytesAreAMessageOrGarbage) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    FrameReader reader(bytes);
    std::size_t messages = 0;
    while (auto message = reader.next()) {
      ++messages;
      if (!*message) RC_ASSERT(message->code() == ErrorCode::kBadRequest);
    }
    RC_ASSERT(messages <= bytes.size() + 1);
  }));
}

}  // namespace
}  // namespace countersign::protocol
