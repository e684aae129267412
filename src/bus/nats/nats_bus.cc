#include "bus/nats/nats_bus.h"

#include <utility>

#include "bus/nats/nats_core.h"
#include "bus/nats/nats_leases.h"
#include "bus/rules.h"

namespace countersign::bus {
namespace {

class NatsListener final : public Subscription {
 public:
  NatsListener(std::shared_ptr<NatsCore> core, std::string_view subject, Handler handler)
      : core_(std::move(core)),
        slot_(std::make_shared<HandlerSlot>([&received = core_->metrics().received,
                                             handler = std::move(handler)](const Payload& payload) {
          received.add();
          handler(payload);
        })),
        ear_(core_->listen_to(subject, slot_)) {}
  ~NatsListener() override {
    core_->unlisten(ear_);
    slot_->close();
  }

 private:
  const std::shared_ptr<NatsCore> core_;
  const std::shared_ptr<HandlerSlot> slot_;
  const NatsCore::Ear ear_;
};

class NatsBus final : public Bus {
 public:
  explicit NatsBus(std::shared_ptr<NatsCore> core) : core_(std::move(core)) {}
  ~NatsBus() override { core_->stop(); }

  Result<void> publish(std::string_view subject, std::string payload) override {
    if (auto good = check_publication(subject, payload); !good) return good;
    return core_->publish(subject, std::move(payload));
  }

  Result<std::unique_ptr<Subscription>> subscribe(std::string_view subject,
                                                  Handler handler) override {
    if (!is_subject(subject)) return fail(ErrorCode::kBadRequest, "this is no subject");
    return std::make_unique<NatsListener>(core_, subject, std::move(handler));
  }

  void flush(std::function<void(Result<void>)> done) override { core_->flush(std::move(done)); }
  void on_gap(std::function<void()> listener) override { core_->on_gap(std::move(listener)); }
  bool connected() const override { return core_->connected(); }

  Result<std::unique_ptr<Leases>> leases(std::string_view bucket,
                                         std::chrono::milliseconds time_to_live) override {
    if (const auto good = check_bucket(bucket, time_to_live); !good) return good.failure();
    return open_nats_leases(core_, std::string(bucket), time_to_live);
  }

 private:
  const std::shared_ptr<NatsCore> core_;
};

}  // namespace

Result<std::unique_ptr<Bus>> open_nats_bus(NatsOptions options, base::Random& random,
                                           base::Metrics& metrics) {
  auto core = std::make_shared<NatsCore>(std::move(options), random, metrics);
  if (const auto started = core->start(); !started) return started.failure();
  return std::make_unique<NatsBus>(std::move(core));
}

}  // namespace countersign::bus
