// What must hold in a simulated run, whatever happens.
#include <chrono>
#include <cstdio>
#include <set>
#include <string>

#include "gateway/simulation_world.h"

namespace countersign::gateway::simulation {
namespace {

base::SystemTime time_in(const std::string& frame, const std::string& name) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  std::sscanf(text_in(frame, name).c_str(), "%d-%u-%uT%u:%u:%u.%uZ", &year, &month, &day, &hour,
              &minute, &second, &ms);
  const std::chrono::sys_days date =
      std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
  return date + std::chrono::hours(hour) + std::chrono::minutes(minute) + seconds(second) +
         milliseconds(ms);
}

}  // namespace

void World::look() {
  if (node_->tasks.size() > kQueue) complain("the queue of store operations outgrew its bound");
  for (Connection& connection : connections_) {
    const std::vector<std::string>& frames = connection.channel->frames;
    for (; connection.read < frames.size() && !fault_; ++connection.read) {
      see(connection, frames[connection.read]);
    }
    if (connection.answer_ping) {
      connection.answer_ping = false;
      if (dice_.chance(95)) connection.channel->receive("{}");
    }
    if (connection.channel->sent_after_close) complain("a frame was sent after the close");
    if (frames.size() > 2 * connection.commands.size() + connection.pings + 8) {
      complain("more frames were sent than anybody asked for");
    }
    if (connection.channel->closing()) see_close(connection);
  }
  std::erase_if(connections_, [](const Connection& connection) {
    return connection.channel->is_lost() || connection.channel->closing();
  });
}

void World::see(Connection& connection, const std::string& frame) {
  if (frame == "{}") {
    ++connection.pings;
    connection.answer_ping = true;
    return;
  }
  unsigned id = 0;
  if (std::sscanf(frame.c_str(), "{\"id\":%u,", &id) != 1) {
    if (frame.find("\"expiring\"") != std::string::npos) see_served(connection, frame);
    return;
  }
  const auto found = connection.commands.find(id);
  if (found == connection.commands.end()) return complain("a reply to no command: " + frame);
  Command& command = found->second;
  if (++command.replies > 1) return complain("a second reply to one command: " + frame);
  if (frame.find("\"error\":{") != std::string::npos) return;
  if (command.verb == "connect" || command.verb == "refresh") {
    see_accepted(connection, command, frame);
  }
  // The reply to `terminate` serves nothing: it may come after the end that it asked for.
  if (command.verb != "terminate") see_served(connection, frame);
}

void World::see_accepted(Connection& connection, const Command& command, const std::string& frame) {
  const bool is_connect = command.verb == "connect";
  if (is_connect && fenced()) complain("accepted while fenced");
  const auto refused = refused_.find(command.credential);
  if (is_connect && refused != refused_.end() && refused->second < command.order) {
    complain("accepted what was refused for good");
  }
  const auto dead = dead_secrets_.find(command.secret);
  if (dead != dead_secrets_.end() && dead->second < command.order) {
    complain("an ended instance came back");
  }
  if (command.ticket) {
    const auto ended = ended_.find(command.ticket->session);
    if (ended != ended_.end() && ended->second.order < command.order) {
      complain(command.verb + " accepted a ticket of an ended session");
    }
    for (const Mark& mark : marks_) {
      if (command.ticket->session.empty() && mark.user == command.ticket->user &&
          command.ticket->created <= mark.time && mark.order < command.order) {
        complain(command.verb + " accepted a ticket older than the watermark");
      }
    }
    const auto first = first_devices_.emplace(command.ticket->text, connection.device).first;
    if (one_device_ && first->second != connection.device) {
      complain(command.verb + " accepted a ticket that another device had shown");
    }
    connection.session = command.ticket->session;
    connection.session_known = true;
  }
  connection.in = true;
  connection.expires = time_in(frame, "instance_expires_at");
  if (connection.expires <= now()) complain("accepted for no time at all");
  if (!is_connect) return;
  if (command.ticket) {
    secrets_[connection.device] = {text_in(frame, "instance"), text_in(frame, "secret")};
    return;
  }
  // Resumed: what session it belongs to only the store knows, unless a refresh on the device's
  // older connection is about to move it.
  const auto instance = store_.all_instances().find(secrets_[connection.device].first);
  connection.session_known = instance != store_.all_instances().end();
  if (connection.session_known && instance->second.session) {
    connection.session = instance->second.session->text();
  }
  for (const Connection& other : connections_) {
    if (&other != &connection && other.device == connection.device) {
      connection.session_known = false;
    }
  }
}

void World::see_served(Connection& connection, const std::string& frame) {
  if (!connection.in) return complain("served before connect: " + frame);
  if (connection.expires <= now()) complain("served after expiry: " + frame);
  const auto ended = ended_.find(connection.session);
  if (ended != ended_.end() && connection.session_known &&
      node_->heard[connection.shard] >= ended->second.row) {
    complain("served after the revocation was heard: " + frame);
  }
}

void World::see_close(Connection& connection) {
  for (auto& [id, command] : connection.commands) {
    const bool last_words = id == connection.last_id;
    if (command.replies == 0 && !command.settled && !last_words) {
      complain("closed without a reply to " + command.verb);
    }
    const bool for_good = connection.channel->close_code == CloseCode::kBadInstance ||
                          connection.channel->close_code == CloseCode::kRevoked;
    // Whoever revokes one instance does not mean the ticket, which may make another; but the row
    // may be heard when the device is on its way in again.
    const bool meant_instance = command.ticket && instance_revoked_;
    if (command.verb == "connect" && !connection.in && command.replies == 1 && for_good &&
        !meant_instance && id == connecting_id(connection)) {
      refused_.emplace(command.credential, ++order_);
    }
  }
}

// The connect that decided the connection: the first that was not answered as out of place.
std::uint32_t World::connecting_id(const Connection& connection) {
  for (const auto& [id, command] : connection.commands) {
    if (command.verb == "connect") return id;
  }
  return 0;
}

// Everything comes to rest with a healthy store; then nobody is connected who should not be.
void World::settle() {
  store_.failing = false;
  for (int round = 0; round < 6; ++round) {
    poll();
    while (node_->tasks.size() > 0 || !node_->shards[0].idle() || !node_->shards[1].idle()) {
      node_->tasks.run_all();
      for (FakeShard& shard : node_->shards) {
        if (!shard.idle()) shard.run_one();
        look();  // at once: what was heard when a frame was sent decides
      }
      if (fault_) return;
    }
  }
  std::set<std::string> devices;
  for (const Connection& connection : connections_) {
    if (!connection.in) continue;
    if (!devices.insert(connection.device).second) complain("two connections of one device");
    const auto ended = ended_.find(connection.session);
    if (ended != ended_.end() && connection.session_known) {
      complain("still connected after the end of " + connection.session);
    }
    for (const auto& [id, command] : connection.commands) {
      if (command.replies != 1) complain("no reply to " + command.verb);
    }
  }
}

}  // namespace countersign::gateway::simulation
