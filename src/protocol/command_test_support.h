// Command test support: reading a text that must be a command, and what must become of it.
#ifndef COUNTERSIGN_PROTOCOL_COMMAND_TEST_SUPPORT_H_
#define COUNTERSIGN_PROTOCOL_COMMAND_TEST_SUPPORT_H_

#include <string>
#include <string_view>
#include <variant>

#include <gtest/gtest.h>

#include "protocol/command.h"

namespace countersign::protocol {

inline Command command_of(std::string_view text) {
  const auto message = decode_message(text);
  EXPECT_TRUE(message.ok()) << text;
  if (!message) return {};
  const auto* command = std::get_if<Command>(&*message);
  EXPECT_NE(command, nullptr) << text;
  return command == nullptr ? Command{} : *command;
}

inline void expect_refused(std::string_view text, ErrorCode code) {
  const Command command = command_of(text);
  const auto* refused = std::get_if<Refused>(&command.verb);
  ASSERT_NE(refused, nullptr) << text.substr(0, 300);
  EXPECT_EQ(refused->code, code) << text.substr(0, 300);
}

inline void expect_garbage(std::string_view text) {
  const auto message = decode_message(text);
  ASSERT_FALSE(message.ok()) << text;
  EXPECT_EQ(message.code(), ErrorCode::kBadRequest);
}

/// `{"id":1,"<verb>":<body>}`.
inline std::string with_body(std::string_view verb, std::string_view body) {
  return std::string(R"({"id":1,")").append(verb).append("\":").append(body).append("}");
}

/// The command of that verb and body, which must be a T.
template <class T>
T read_as(std::string_view verb, std::string_view body) {
  const Command command = command_of(with_body(verb, body));
  const T* read = std::get_if<T>(&command.verb);
  EXPECT_NE(read, nullptr) << verb << ' ' << body.substr(0, 300);
  return read == nullptr ? T{} : *read;
}

inline void expect_body_refused(std::string_view verb, std::string_view body, ErrorCode code) {
  expect_refused(with_body(verb, body), code);
}

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_COMMAND_TEST_SUPPORT_H_
