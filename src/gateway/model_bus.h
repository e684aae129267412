// A bus that does everything a bus may do, and some things it may not: it loses, repeats, reorders
// and misroutes publications, and cuts nodes off, with a word about it or without. The simulation
// decides when anything happens.
// Not thread-safe: a run is one thread.
#ifndef COUNTERSIGN_GATEWAY_MODEL_BUS_H_
#define COUNTERSIGN_GATEWAY_MODEL_BUS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/bus.h"

namespace countersign::gateway::simulation {

class ModelBus {
 public:
  /// Publications on their way, each to one subscriber.
  std::size_t on_the_way() const { return on_the_way_.size(); }
  /// Hands over the publication at this place; `keep` leaves it there, to come again.
  void deliver(std::size_t index, bool keep) {
    const Parcel parcel = on_the_way_[index];
    if (!keep) drop(index);
    const auto to = subscribers_.find(parcel.subscriber);
    if (to != subscribers_.end() && !away(to->second.node)) to->second.handler(parcel.payload);
  }
  void drop(std::size_t index) {
    on_the_way_.erase(on_the_way_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  /// Sends it to another subscriber than it was meant for.
  void misroute(std::size_t index, std::size_t choice) {
    if (subscribers_.empty()) return;
    auto to = subscribers_.begin();
    std::advance(to, static_cast<std::ptrdiff_t>(choice % subscribers_.size()));
    on_the_way_[index].subscriber = to->first;
  }

  bool away(int node) const {
    const auto found = away_.find(node);
    return found != away_.end() && found->second;
  }
  void cut_off(int node) { away_[node] = true; }
  /// Back again; the node hears that it may have missed something.
  void reconnect(int node) {
    away_[node] = false;
    if (gap_.contains(node) && gap_[node]) gap_[node]();
  }
  /// The node's process has ended.
  void forget(int node) {
    gap_.erase(node);
    away_.erase(node);
  }

  // What the nodes do.

  void publish(int node, std::string_view subject, std::string payload) {
    const auto shared = std::make_shared<const std::string>(std::move(payload));
    for (const auto& [id, subscriber] : subscribers_) {
      const bool cut = away(subscriber.node) || away(node);
      if (subscriber.subject == subject && (!cut || subscriber.node == node)) {
        on_the_way_.push_back({id, shared});
      }
    }
  }
  std::uint64_t subscribe(int node, std::string_view subject, bus::Handler handler) {
    subscribers_[++last_] = {node, std::string(subject), std::move(handler)};
    return last_;
  }
  void unsubscribe(std::uint64_t id) { subscribers_.erase(id); }
  void on_gap(int node, std::function<void()> listener) { gap_[node] = std::move(listener); }

 private:
  struct Subscriber {
    int node = 0;
    std::string subject;
    bus::Handler handler;
  };
  struct Parcel {
    std::uint64_t subscriber = 0;
    bus::Payload payload;
  };

  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Subscriber> subscribers_;
  std::vector<Parcel> on_the_way_;
  std::map<int, bool> away_;
  std::map<int, std::function<void()>> gap_;
};

/// The bus as one node sees it.
class NodeBus final : public bus::Bus {
 public:
  NodeBus(ModelBus& bus, int node) : bus_(bus), node_(node) {}
  ~NodeBus() override { bus_.forget(node_); }

  Result<void> publish(std::string_view subject, std::string payload) override {
    if (bus_.away(node_)) return fail(ErrorCode::kBusFailed, "away");
    bus_.publish(node_, subject, std::move(payload));
    return {};
  }
  Result<std::unique_ptr<bus::Subscription>> subscribe(std::string_view subject,
                                                       bus::Handler handler) override {
    return std::unique_ptr<bus::Subscription>(
        new Held(bus_, bus_.subscribe(node_, subject, std::move(handler))));
  }
  void flush(std::function<void(Result<void>)> done) override {
    if (bus_.away(node_)) return done(fail(ErrorCode::kBusFailed, "away"));
    done({});
  }
  void on_gap(std::function<void()> listener) override { bus_.on_gap(node_, std::move(listener)); }
  bool connected() const override { return !bus_.away(node_); }
  Result<std::unique_ptr<bus::Leases>> leases(std::string_view,
                                              std::chrono::milliseconds) override {
    return fail(ErrorCode::kBusFailed, "no leases here");
  }

 private:
  class Held final : public bus::Subscription {
   public:
    Held(ModelBus& bus, std::uint64_t id) : bus_(bus), id_(id) {}
    ~Held() override { bus_.unsubscribe(id_); }

   private:
    ModelBus& bus_;
    const std::uint64_t id_;
  };

  ModelBus& bus_;
  const int node_;
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_MODEL_BUS_H_
