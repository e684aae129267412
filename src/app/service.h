// Service: the running server. The one place that knows every room: it builds the graph from the
// settings, starts it from the store upwards and stops it from the sockets downwards.
// Thread-safety: every call from one thread.
#ifndef COUNTERSIGN_APP_SERVICE_H_
#define COUNTERSIGN_APP_SERVICE_H_

#include <memory>
#include <string>

#include "countersign/result.h"

#include "config/settings.h"

namespace countersign::app {

class Service {
 public:
  /// Serves when it returns. Every error of Core::open(), and kAddressInUse, kBadCertificate,
  /// kBadSetting.
  static Result<std::unique_ptr<Service>> start(const config::Settings& settings);
  virtual ~Service() = default;

  /// `http(s)://HOST:PORT` that it serves.
  virtual std::string url() const = 0;
  /// Reads the certificate, its key and the secrets again. What cannot be read stays as it was, and
  /// the log says why.
  virtual void reload() = 0;
  /// Sends clients away, lets requests end within server.drain_seconds, and stops.
  virtual void drain_and_stop() = 0;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_SERVICE_H_
