#include "gateway/simulation.h"

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "countersign/user_ticket.h"

#include "base/fake_clock.h"
#include "gateway/simulation_node.h"
#include "protocol/client_messages.h"

namespace countersign::gateway {
namespace simulation {
namespace {

// What a client showed, and what is known of it.
struct Ticket {
  std::string text;
  std::string session;  // empty: none
  std::size_t user = 0;
  base::SystemTime created;
};

struct Command {
  std::string verb;
  std::optional<Ticket> ticket;
  std::string credential;   // ticket or secret, with the device
  std::string secret;       // of a resumed instance
  std::uint64_t order = 0;  // when it was sent
  int replies = 0;
  bool settled = false;  // the connection ended before a reply was owed
};

struct Connection {
  std::size_t user = 0;
  std::string device;
  std::size_t shard = 0;
  std::unique_ptr<FakeChannel> channel;
  std::uint32_t last_id = 0;
  std::map<std::uint32_t, Command> commands;
  std::size_t read = 0;  // frames looked at
  std::size_t pings = 0;
  bool answer_ping = false;
  bool in = false;      // connect was accepted
  std::string session;  // of the last accepted ticket
  bool session_known = true;
  base::SystemTime expires;
};

class World {
 public:
  World(std::uint64_t seed, Mutant mutant)
      : dice_(seed), random_(seed ^ 0xABCDEF), mutant_(mutant), one_device_(seed % 2 == 0) {
    store_.unchecked_refresh = mutant == Mutant::kUncheckedRefresh;
    store_.ids_from_sequence = mutant == Mutant::kPollByIdWithGaps;
    sessions_.resize(2);
    for (std::size_t user = 0; user < sessions_.size(); ++user) sign_in(user);
    start_node();
  }

  std::optional<std::string> run() {
    const std::size_t steps = 30 + dice_.below(60);
    for (std::size_t i = 0; i < steps && !fault_; ++i) {
      step();
      look();
    }
    if (!fault_) settle();
    connections_.clear();
    return fault_;
  }

 private:
  void complain(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }
  base::SystemTime now() const { return node_->wall.now(); }
  base::SteadyTime steady() const { return clock_.steady(); }
  bool fenced() const {
    return node_->polled == base::SteadyTime::min() || steady() - node_->polled > kFenceAfter;
  }
  static std::string user_name(std::size_t user) { return user == 0 ? "ann" : "bob"; }
  static Identity identity(std::size_t user) { return {IdentityType::kUsername, user_name(user)}; }

  // What can happen.

  void step() {
    switch (dice_.below(20)) {
      case 0:
      case 1:
        return open();
      case 2:
      case 3:
      case 4:
        return send_something();
      case 5:
      case 6:
      case 7:
      case 8: {
        FakeShard& shard = node_->shards[dice_.below(kShards)];
        if (!shard.idle()) shard.run_one();
        return;
      }
      case 9:
      case 10:
      case 11:
      case 12:
        if (node_->tasks.size() > 0) node_->tasks.run(dice_.below(node_->tasks.size()));
        return;
      case 13:
        return pass(milliseconds(1 + dice_.below(dice_.chance(50) ? 40'000 : 1'000)));
      case 14:
      case 15:
        return poll();
      case 16:
        return revoke();
      case 17:
        return trouble();
      case 18:
        if (!connections_.empty() && dice_.chance(40)) drop(dice_.pick(connections_));
        return;
      default:
        return fire_timers();
    }
  }

  void open() {
    if (connections_.size() >= 6) return;
    Connection connection;
    connection.user = dice_.below(sessions_.size());
    connection.device = user_name(connection.user) + std::to_string(dice_.below(2));
    connection.shard = dice_.below(kShards);
    connection.channel = std::make_unique<FakeChannel>(node_->shards[connection.shard]);
    connection.channel->open(std::make_unique<GatewayConnection>(
        node_->context, node_->hub.shard(connection.shard), "test"));
    connections_.push_back(std::move(connection));
    if (dice_.chance(85)) send_connect(connections_.back());
  }

  void send_something() {
    if (connections_.empty()) return;
    Connection& connection = dice_.pick(connections_);
    switch (dice_.below(12)) {
      case 0:
        return send_connect(connection);
      case 1:
        return send(connection, protocol::Terminate{}, {"terminate", {}, {}, {}});
      case 2:
        connection.channel->receive("{}");
        return;
      case 3:
        if (dice_.chance(10)) connection.channel->receive("no JSON");
        return;
      case 4:
      case 5:
      case 6:
      case 7: {
        Ticket ticket = make_ticket(dice_.chance(95) ? connection.user : 1 - connection.user);
        protocol::Refresh refresh{ticket.text};
        return send(connection, std::move(refresh), {"refresh", std::move(ticket), {}, {}});
      }
      default:
        return send(connection, protocol::Ping{}, {"ping", {}, {}, {}});
    }
  }

  void send_connect(Connection& connection) {
    const auto known = secrets_.find(connection.device);
    if (known != secrets_.end() && dice_.chance(50)) {
      const auto& [instance, secret] = known->second;
      send(connection, protocol::Connect{"", instance, secret, connection.device, {}},
           {"connect", {}, secret + connection.device, secret});
      return;
    }
    Ticket ticket = make_ticket(connection.user);
    std::string credential = ticket.text + connection.device;
    protocol::Connect connect{ticket.text, "", "", connection.device, {}};
    send(connection, std::move(connect), {"connect", std::move(ticket), std::move(credential), {}});
  }

  struct Sent {
    std::string verb;
    std::optional<Ticket> ticket;
    std::string credential;
    std::string secret;
  };
  void send(Connection& connection, decltype(protocol::Command::verb) verb, Sent sent) {
    if (!connection.channel->is_open()) return;
    const std::uint32_t id = ++connection.last_id;
    connection.commands[id] = {std::move(sent.verb), std::move(sent.ticket),
                               std::move(sent.credential), std::move(sent.secret), ++order_};
    connection.channel->receive(protocol::encode_command({id, std::move(verb)}));
  }

  // A ticket that was accepted before: of this user, but not always of the device that shows it.
  const Ticket* accepted_ticket(std::size_t user) {
    const std::size_t begin = dice_.below(tickets_.size());
    for (std::size_t i = 0; i < tickets_.size(); ++i) {
      const Ticket& ticket = tickets_[(begin + i) % tickets_.size()];
      if (ticket.user == user && first_devices_.contains(ticket.text)) return &ticket;
    }
    return nullptr;
  }

  Ticket make_ticket(std::size_t user) {
    if (one_device_ && !tickets_.empty() && dice_.chance(30)) {
      if (const Ticket* accepted = accepted_ticket(user)) return *accepted;
    }
    if (!tickets_.empty() && dice_.chance(20)) {
      const Ticket& old = dice_.pick(tickets_);
      if (old.user == user) return old;
    }
    Ticket ticket;
    ticket.user = user;
    if (!dice_.chance(20)) ticket.session = dice_.pick(sessions_[user]);
    const auto age = seconds(dice_.chance(10) ? dice_.below(200) : 0);
    const auto created = std::chrono::floor<seconds>(now()) - age;
    ticket.created = created;
    RawUserTicket raw{identity(user), kApplication, created, seconds(20 + dice_.below(400)), {}};
    if (!ticket.session.empty()) raw.session = ticket.session;
    ticket.text = mint_user_ticket(*ring(), raw)->text();
    tickets_.push_back(ticket);
    return ticket;
  }

  void sign_in(std::size_t user) {
    const std::string handle = "session-" + std::to_string(++order_);
    sessions_[user].push_back(handle);
    store_.begin_session(handle, clock_.now());
  }

  void revoke() {
    if (store_.failing || dice_.chance(30)) return;
    const auto before = store_.all_instances();
    const std::size_t user = dice_.below(sessions_.size());
    storage::Revocation row;
    row.time = now();
    switch (dice_.below(4)) {
      case 0: {
        row.scope = storage::RevocationScope::kIdentity;
        row.application_key = kApplication;
        row.identity = identity(user);
        (void)store_.add({&row, 1});
        marks_.push_back({user, *store_.watermark(kApplication, row.identity), ++order_});
        break;
      }
      case 1: {
        if (before.empty()) return;
        row.scope = storage::RevocationScope::kInstance;
        row.instance =
            std::next(before.begin(), static_cast<std::ptrdiff_t>(dice_.below(before.size())))
                ->second.id;
        (void)store_.add({&row, 1});
        instance_revoked_ = true;
        break;
      }
      default: {
        const std::string handle = dice_.pick(sessions_[user]);
        if (!*store_.end_session(base::SessionHandle(handle), "sign_out", now())) return;
        ended_[handle] = {++order_, *store_.head()};
        if (dice_.chance(50)) sign_in(user);
      }
    }
    ++order_;
    for (const auto& [id, instance] : before) {
      if (store_.all_instances().contains(id)) continue;
      dead_secrets_[*node_->keys.secret(instance.key_id, instance.application_key, id,
                                        instance.generation)] = order_;
    }
  }

  void trouble() {
    switch (dice_.below(6)) {
      case 0:
        store_.failing = !store_.failing;
        return;
      case 1:
        clock_.jump(seconds(static_cast<long>(dice_.below(200)) - 100));
        return;
      case 2:
        if (dice_.chance(one_device_ ? 90 : 30)) restart();
        return;
      case 3:
        if (dice_.chance(20)) node_->hub.shut_down(milliseconds(dice_.below(3'000)));
        return;
      default:
        store_.failing = false;
    }
  }

  void pass(milliseconds by) {
    clock_.advance(by);
    fire_timers();
  }

  void fire_timers() {
    for (Connection& connection : connections_) connection.channel->fire_timer(steady());
  }

  void drop(Connection& connection) {
    connection.channel->lose();
    for (auto& [id, command] : connection.commands) command.settled = true;
  }

  void restart() {
    connections_.clear();
    if (mutant_ == Mutant::kForgetsTickets) store_.forget_presented_tickets();
    start_node();
  }

  void start_node() {
    const auto mark = node_ ? node_->wall.now() : clock_.now();
    node_.reset();
    node_ = std::make_unique<Node>(clock_, mark, store_, random_, mutant_, one_device_);
    const auto began = steady();
    if (!node_->poller.begin()) return;
    node_->polled = began;
    node_->naive_position = node_->poller.position();
    node_->heard.fill(node_->poller.position());
  }

  void poll() {
    const auto began = steady();
    if (node_->poller.position() == 0 && node_->polled == base::SteadyTime::min()) {
      // The store failed when the node started: it begins now.
      if (!node_->poller.begin()) return;
      node_->naive_position = node_->poller.position();
    } else if (!node_->poller.tick()) {
      return;
    }
    node_->polled = began;
    std::int64_t position = node_->poller.position();
    if (mutant_ == Mutant::kPollByIdWithGaps) {
      const auto rows = *store_.poll(node_->naive_position, 100);
      if (!rows.empty()) node_->naive_position = rows.back().id;
      node_->hub.on_revocations(rows);
      store_.commit_late_rows();
    }
    for (std::size_t i = 0; i < kShards; ++i) {
      node_->shards[i].post([this, i, position] { node_->heard[i] = position; });
    }
  }

  // What must hold.

  void look() {
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

  void see(Connection& connection, const std::string& frame) {
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

  void see_accepted(Connection& connection, const Command& command, const std::string& frame) {
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

  void see_served(Connection& connection, const std::string& frame) {
    if (!connection.in) return complain("served before connect: " + frame);
    if (connection.expires <= now()) complain("served after expiry: " + frame);
    const auto ended = ended_.find(connection.session);
    if (ended != ended_.end() && connection.session_known &&
        node_->heard[connection.shard] >= ended->second.row) {
      complain("served after the revocation was heard: " + frame);
    }
  }

  void see_close(Connection& connection) {
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
  static std::uint32_t connecting_id(const Connection& connection) {
    for (const auto& [id, command] : connection.commands) {
      if (command.verb == "connect") return id;
    }
    return 0;
  }

  // Everything comes to rest with a healthy store; then nobody is connected who should not be.
  void settle() {
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

  static std::string text_in(const std::string& frame, const std::string& name) {
    const std::string key = "\"" + name + "\":\"";
    const std::size_t begin = frame.find(key);
    if (begin == std::string::npos) return {};
    const std::size_t start = begin + key.size();
    return frame.substr(start, frame.find('"', start) - start);
  }
  static base::SystemTime time_in(const std::string& frame, const std::string& name) {
    int year = 0;
    unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
    std::sscanf(text_in(frame, name).c_str(), "%d-%u-%uT%u:%u:%u.%uZ", &year, &month, &day, &hour,
                &minute, &second, &ms);
    const std::chrono::sys_days date =
        std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
    return date + std::chrono::hours(hour) + std::chrono::minutes(minute) + seconds(second) +
           milliseconds(ms);
  }

  struct Ended {
    std::uint64_t order;
    std::int64_t row;
  };
  struct Mark {
    std::size_t user;
    base::SystemTime time;
    std::uint64_t order;
  };

  Dice dice_;
  base::SeededRandom random_;
  const Mutant mutant_;
  const bool one_device_;  // a ticket is good for one device only
  base::FakeClock clock_;
  ModelStore store_;
  std::unique_ptr<Node> node_;
  std::vector<Connection> connections_;  // goes before the node
  std::vector<std::vector<std::string>> sessions_;
  std::vector<Ticket> tickets_;
  std::map<std::string, std::pair<std::string, std::string>> secrets_;  // of each device
  std::map<std::string, std::string> first_devices_;                    // accepted with each ticket
  std::map<std::string, Ended> ended_;
  std::vector<Mark> marks_;
  std::map<std::string, std::uint64_t> dead_secrets_;
  std::map<std::string, std::uint64_t> refused_;  // for good, and when
  std::uint64_t order_ = 0;
  bool instance_revoked_ = false;  // an instance was revoked by itself
  std::optional<std::string> fault_;
};

}  // namespace
}  // namespace simulation

std::optional<std::string> run_schedule(std::uint64_t seed, Mutant mutant) {
  return simulation::World(seed, mutant).run();
}

}  // namespace countersign::gateway
