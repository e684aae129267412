#include "protocol/client_messages.h"

#include <cassert>

#include "base/json_text.h"

namespace countersign::protocol {
namespace {

// Appends members to an object, leaving out the empty ones.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    this->name(name);
    base::append_json_string(out_, value);
  }
  void name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    base::append_json_string(out_, name);
    out_ += ':';
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

struct VerbEncoder {
  std::string& out;

  void operator()(const Ping&) const { out.append("\"ping\":{}"); }
  void operator()(const Terminate&) const { out.append("\"terminate\":{}"); }
  void operator()(const Refresh& refresh) const {
    out.append("\"refresh\":");
    ObjectWriter body(out);
    body.text("userTicket", refresh.user_ticket);
    body.end();
  }
  void operator()(const Connect& connect) const {
    out.append("\"connect\":");
    ObjectWriter body(out);
    body.text("userTicket", connect.user_ticket);
    body.text("instance", connect.instance);
    body.text("secret", connect.secret);
    body.text("device", connect.device);
    body.name("client");
    ObjectWriter client(out);
    client.text("name", connect.client.name);
    client.text("version", connect.client.version);
    client.end();
    body.end();
  }
  void operator()(const Refused&) const { assert(!"a refused command has no wire form"); }
};

}  // namespace

std::string encode_command(const Command& command) {
  std::string out = "{\"id\":";
  out.append(std::to_string(command.id)).append(",");
  std::visit(VerbEncoder{out}, command.verb);
  out.append("}");
  return out;
}

}  // namespace countersign::protocol
