// The metrics facade over prometheus-cpp: counters and gauges that rooms create once and bump.
// Thread-safety: every function may be called from any thread. References stay valid as long as
// the Metrics object.
#ifndef COUNTERSIGN_BASE_METRICS_H_
#define COUNTERSIGN_BASE_METRICS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace countersign::base {

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double amount = 1) = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void add(double amount) = 0;
  virtual void set(double value) = 0;
};

class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The counter of this name and these labels; made at the first call. Names follow Prometheus
  /// (`countersign_tickets_issued_total`). Label values come from fixed sets, never from input.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  /// All metrics in the Prometheus text format 0.0.4.
  std::string expose() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_METRICS_H_
