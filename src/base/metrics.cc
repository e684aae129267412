#include "base/metrics.h"

#include <mutex>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace countersign::base {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void add(double amount) override { counter_.Increment(amount); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void add(double amount) override { gauge_.Increment(amount); }
  void set(double value) override { gauge_.Set(value); }

 private:
  prometheus::Gauge& gauge_;
};

}  // namespace

struct Metrics::Impl {
  using Key = std::pair<std::string, Labels>;

  prometheus::Registry registry;
  std::mutex mutex;
  std::map<Key, PrometheusCounter> counters;
  std::map<Key, PrometheusGauge> gauges;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  const auto key = std::make_pair(name, labels);
  auto found = impl_->counters.find(key);
  if (found == impl_->counters.end()) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    found = impl_->counters.emplace(key, PrometheusCounter(family.Add(labels))).first;
  }
  return found->second;
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  const auto key = std::make_pair(name, labels);
  auto found = impl_->gauges.find(key);
  if (found == impl_->gauges.end()) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    found = impl_->gauges.emplace(key, PrometheusGauge(family.Add(labels))).first;
  }
  return found->second;
}

std::string Metrics::expose() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace countersign::base
