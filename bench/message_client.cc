#include "message_client.h"

#include <charconv>

namespace countersign::bench {
namespace {

/// The text after `"name":`, up to the end of `json`; empty if there is none.
std::string_view member(std::string_view json, std::string_view name) {
  std::string quoted = "\"";
  quoted.append(name).append("\":");
  const auto at = json.find(quoted);
  return at == std::string_view::npos ? std::string_view() : json.substr(at + quoted.size());
}

std::int64_t number(std::string_view json, std::string_view name) {
  std::int64_t value = 0;
  const auto text = member(json, name);
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string_view text_of(std::string_view json, std::string_view name) {
  auto text = member(json, name);
  if (text.empty() || text.front() != '"') return {};
  text.remove_prefix(1);
  return text.substr(0, text.find('"'));
}

}  // namespace

void MessageClient::open(std::uint16_t port, std::uint32_t source, int epoll, std::uint64_t tag) {
  link_.open(port, source, epoll, tag);
  due_.clear();
  last_id_ = 0;
  upgraded_ = live_ = false;
  link_.send(upgrade_request(port));
}

void MessageClient::connect(std::string_view ticket, std::string_view device) {
  if (name_.empty()) name_ = device;
  std::string command = R"({"id":1,"connect":{"caps":["messaging"],"device":")";
  command.append(device).append(R"(","userTicket":")").append(ticket).append("\"");
  if (!epoch_.empty()) {
    command.append(R"(,"resume":{"epoch":")").append(epoch_);
    command.append(R"(","offset":)").append(std::to_string(offset_));
    command.append(R"(,"chain":")").append(chain_).append("\"}");
  }
  last_id_ = 1;
  link_.send(text_frame(command.append("}}")));
}

void MessageClient::send(std::string_view user, std::string_view text, SteadyTime due) {
  const std::uint32_t id = ++last_id_;
  due_.emplace(id, due);
  // Another run against the same server is not a repeat of this one.
  static const auto kRun =
      std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
  std::string command = "{\"id\":" + std::to_string(id) + R"(,"send":{"msg_id":")" + name_ + "-" +
                        kRun + "-" + std::to_string(++messages_) +
                        R"(","to":[{"type":"username","endpoint":")";
  command.append(user).append(R"("}],"text":")").append(text).append("\"}}");
  link_.send(text_frame(command));
}

void MessageClient::acknowledge() {
  if (unacknowledged() == 0) return;
  acknowledged_ = offset_;
  std::string command = "{\"id\":" + std::to_string(++last_id_) + R"(,"ack":{"epoch":")";
  command.append(epoch_).append(R"(","offset":)").append(std::to_string(offset_)).append("}}");
  link_.send(text_frame(command));
}

bool MessageClient::receive(const Listener& listener) {
  if (!link_.is_open() || !link_.receive()) return false;
  if (!upgraded_) {
    if (link_.take_status() != 101) return true;
    upgraded_ = true;
  }
  for (;;) {
    const std::string frame = link_.take_frame();
    if (frame.empty()) return true;
    std::string_view rest = frame;
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      take(rest.substr(0, end), listener);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
}

void MessageClient::take(std::string_view object, const Listener& listener) {
  if (object == "{}") return link_.send(text_frame("{}"));
  if (object.starts_with("{\"push\":{\"inbox\"")) return take_entries(object, listener);
  if (!object.starts_with("{\"id\":")) return;
  const auto id = static_cast<std::uint32_t>(number(object, "id"));
  if (object.find("\"error\":") != std::string_view::npos) {
    due_.erase(id);
    return listener.refused(static_cast<int>(number(object, "code")));
  }
  if (const auto sent = due_.find(id); sent != due_.end()) {
    listener.accepted(sent->second);
    due_.erase(sent);
  } else if (const auto inbox = member(object, "inbox"); id == 1 && !inbox.empty()) {
    epoch_ = text_of(inbox, "epoch");
    offset_ = acknowledged_ = number(inbox, "from");
    chain_ = text_of(inbox, "from_chain");
    top_ = number(inbox, "top");
    recovered_ = member(inbox, "recovered").starts_with("true");
    live_ = true;
  }
}

void MessageClient::take_entries(std::string_view push, const Listener& listener) {
  // Every entry begins with its offset and chain.
  constexpr std::string_view kBegin = "{\"offset\":";
  for (auto at = push.find(kBegin); at != std::string_view::npos;) {
    const auto next = push.find(kBegin, at + kBegin.size());
    const auto entry = push.substr(at, next == std::string_view::npos ? next : next - at);
    offset_ = number(entry, "offset");
    chain_ = text_of(entry, "chain");
    if (text_of(entry, "kind") == "message") listener.arrived(text_of(entry, "text"));
    at = next;
  }
}

}  // namespace countersign::bench
