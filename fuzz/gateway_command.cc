// Property: any frames leave the gateway's decoder and connection machine in a sane state. What is
// read as a command reads the same once written again; every command gets at most one reply; after
// a close nothing more is said; and nothing but a close follows garbage.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "base/encoding.h"
#include "gateway/connection_machine.h"
#include "protocol/client_messages.h"
#include "protocol/command.h"

namespace countersign {
namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

// Returns how many commands the frame holds before its end or its first garbage.
std::size_t check_decoder(std::string_view frame) {
  std::size_t commands = 0;
  protocol::FrameReader reader(frame);
  while (auto message = reader.next()) {
    if (!*message) {
      require(message->code() == ErrorCode::kBadRequest);
      require(!reader.next());
      break;
    }
    const auto* command = std::get_if<protocol::Command>(&**message);
    if (command == nullptr) continue;
    ++commands;
    require(command->id >= 1);
    if (std::holds_alternative<protocol::Refused>(command->verb)) continue;
    const auto again = protocol::decode_message(protocol::encode_command(*command));
    require(again.ok() && std::get<protocol::Command>(*again) == *command);
  }
  return commands;
}

// Answers what the machine asks for, with outcomes chosen by `choice`, and counts its replies.
class Driver {
 public:
  void receive(std::string_view frame, std::uint8_t choice) {
    now_.steady += std::chrono::milliseconds(choice * 40);
    now_.wall += std::chrono::milliseconds(choice * 40);
    if (machine_.next_deadline() <= now_.steady) carry_out(machine_.on_timer(now_), choice);
    carry_out(machine_.on_frame(frame, now_), choice);
  }
  std::size_t replies() const { return replies_; }
  bool closed() const { return closed_; }

 private:
  void carry_out(gateway::Actions actions, std::uint8_t choice) {
    for (gateway::Action& action : actions) {
      require(!closed_ || std::holds_alternative<gateway::EndInstance>(action));
      std::visit([this, choice](auto& what) { perform(what, choice); }, action);
    }
  }
  template <class T>
  void perform(T&, std::uint8_t) {}
  void perform(gateway::SendFrame& send, std::uint8_t) {
    require(send.frame.find('\n') == std::string::npos);
    if (send.frame.starts_with("{\"id\":")) ++replies_;
  }
  void perform(gateway::CloseWith&, std::uint8_t) { closed_ = true; }
  void perform(gateway::CloseNormally&, std::uint8_t) { closed_ = true; }
  void perform(gateway::VerifyTicket&, std::uint8_t choice) {
    gateway::TicketFacts facts{"app",
                               {IdentityType::kUsername, choice % 3 == 0 ? "ann" : "bob"},
                               now_.wall,
                               now_.wall + std::chrono::seconds(choice),
                               base::SessionHandle("session")};
    Result<gateway::TicketFacts> ticket = std::move(facts);
    if (choice % 7 == 6) ticket = fail(ErrorCode::kBadSignature);
    carry_out(machine_.on_ticket(std::move(ticket), {"device", choice}, now_), choice);
  }
  void perform(gateway::Enrol&, std::uint8_t choice) {
    carry_out(machine_.on_enrolled({}, now_), choice);
  }
  void perform(gateway::CreateInstance& create, std::uint8_t choice) {
    carry_out(machine_.on_created(create.instance, now_), choice);
  }
  void perform(gateway::FindInstance&, std::uint8_t choice) {
    carry_out(machine_.on_found(std::optional<storage::Instance>(), now_), choice);
  }
  void perform(gateway::RefreshInstance&, std::uint8_t choice) {
    carry_out(machine_.on_refreshed({}, now_), choice);
  }
  void perform(gateway::EndInstance&, std::uint8_t choice) {
    if (!closed_) carry_out(machine_.on_ended({}, now_), choice);
  }

  gateway::MachineConfig config_;
  gateway::InstanceKeys keys_{"key", base::as_bytes("0123456789abcdef0123456789abcdef")};
  gateway::Moment now_{base::SteadyTime(std::chrono::hours(1)),
                       base::SystemTime(std::chrono::hours(24 * 20000)), false};
  gateway::ConnectionMachine machine_{config_, keys_, 1, 0, now_};
  std::size_t replies_ = 0;
  bool closed_ = false;
};

}  // namespace
}  // namespace countersign

// The input is a list of frames, each ended by a zero byte; the byte before that chooses outcomes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  countersign::Driver driver;
  std::size_t commands = 0;
  while (!rest.empty() && !driver.closed()) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    const std::string_view frame = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    commands += countersign::check_decoder(frame);
    driver.receive(frame, frame.empty() ? 0 : static_cast<std::uint8_t>(frame.back()));
  }
  countersign::require(driver.replies() <= commands);
  return 0;
}
