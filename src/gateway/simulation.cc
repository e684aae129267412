// What can happen in a simulated run.
#include "gateway/simulation.h"

#include <iterator>
#include <span>
#include <utility>

#include "countersign/user_ticket.h"

#include "gateway/simulation_world.h"
#include "protocol/client_messages.h"

namespace countersign::gateway {
namespace simulation {

World::World(std::uint64_t seed, Mutant mutant)
    : dice_(seed), random_(seed ^ 0xABCDEF), mutant_(mutant), one_device_(seed % 2 == 0) {
  store_.unchecked_refresh = mutant == Mutant::kUncheckedRefresh;
  store_.ids_from_sequence = mutant == Mutant::kPollByIdWithGaps;
  sessions_.resize(2);
  for (std::size_t user = 0; user < sessions_.size(); ++user) sign_in(user);
  start_node();
}

std::optional<std::string> World::run() {
  const std::size_t steps = 30 + dice_.below(60);
  for (std::size_t i = 0; i < steps && !fault_; ++i) {
    step();
    look();
  }
  if (!fault_) settle();
  connections_.clear();
  return fault_;
}

bool World::fenced() const {
  return node_->polled == base::SteadyTime::min() || steady() - node_->polled > kFenceAfter;
}

void World::step() {
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

void World::open() {
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

void World::send_something() {
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

void World::send_connect(Connection& connection) {
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

void World::send(Connection& connection, decltype(protocol::Command::verb) verb, Sent sent) {
  if (!connection.channel->is_open()) return;
  const std::uint32_t id = ++connection.last_id;
  connection.commands[id] = {std::move(sent.verb), std::move(sent.ticket),
                             std::move(sent.credential), std::move(sent.secret), ++order_};
  connection.channel->receive(protocol::encode_command({id, std::move(verb)}));
}

// A ticket that was accepted before: of this user, but not always of the device that shows it.
const Ticket* World::accepted_ticket(std::size_t user) {
  const std::size_t begin = dice_.below(tickets_.size());
  for (std::size_t i = 0; i < tickets_.size(); ++i) {
    const Ticket& ticket = tickets_[(begin + i) % tickets_.size()];
    if (ticket.user == user && first_devices_.contains(ticket.text)) return &ticket;
  }
  return nullptr;
}

Ticket World::make_ticket(std::size_t user) {
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

void World::sign_in(std::size_t user) {
  const std::string handle = "session-" + std::to_string(++order_);
  sessions_[user].push_back(handle);
  store_.begin_session(handle, clock_.now());
}

void World::revoke() {
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

void World::trouble() {
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

void World::pass(milliseconds by) {
  clock_.advance(by);
  fire_timers();
}

void World::fire_timers() {
  for (Connection& connection : connections_) connection.channel->fire_timer(steady());
}

void World::drop(Connection& connection) {
  connection.channel->lose();
  for (auto& [id, command] : connection.commands) command.settled = true;
}

void World::restart() {
  connections_.clear();
  if (mutant_ == Mutant::kForgetsTickets) store_.forget_presented_tickets();
  start_node();
}

void World::start_node() {
  const auto mark = node_ ? node_->wall.now() : clock_.now();
  node_.reset();
  node_ = std::make_unique<Node>(clock_, mark, store_, random_, mutant_, one_device_);
  const auto began = steady();
  if (!node_->poller.begin()) return;
  node_->polled = began;
  node_->naive_position = node_->poller.position();
  node_->heard.fill(node_->poller.position());
}

void World::poll() {
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

}  // namespace simulation

std::optional<std::string> run_schedule(std::uint64_t seed, Mutant mutant) {
  return simulation::World(seed, mutant).run();
}

}  // namespace countersign::gateway
