// For every command that can be written: reading what was written gives it back, alone or in a
// frame with others.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "protocol/client_messages.h"
#include "protocol/command.h"
#include "protocol/command_generators.h"

namespace countersign::protocol {
namespace {

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
