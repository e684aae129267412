// ClassicSide: everything of a running server that is there for the classic SDK, if
// compat.sinch_sdk wants it: the classic gateway behind, its door before the site.
//
// Order of life: create() before the gateway starts; start(); shut_down() when the server drains;
// stop() once shards and workers have stopped.
// Thread-safety: every call from one thread; handler() serves all shards.
#ifndef COUNTERSIGN_APP_CLASSIC_H_
#define COUNTERSIGN_APP_CLASSIC_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "countersign/result.h"

#include "app/core.h"
#include "base/worker_pool.h"
#include "gateway/gateway.h"
#include "gateway/recipient_directory.h"
#include "net/http_handler.h"
#include "web/classic/classic_door.h"
#include "web/site_context.h"

namespace countersign::app {

class ClassicSide {
 public:
  /// What it is built from; all of it outlives it.
  struct Parts {
    Core& core;
    gateway::Gateway& gateway;
    gateway::RecipientDirectory& directory;
    base::WorkerPool& workers;
    net::HttpHandler& site;
    web::SiteContext context;
  };

  /// Null if the setting is off. kBadSetting if the store cannot keep what it needs.
  static Result<std::unique_ptr<ClassicSide>> create(Parts parts);

  net::HttpHandler& handler() { return door_; }
  void start() { gateway_.start(); }
  void shut_down() { gateway_.shut_down(); }
  void stop() { gateway_.stop(); }

 private:
  explicit ClassicSide(Parts parts);

  const web::SiteContext context_;
  gateway::classic::ClassicGateway gateway_;
  web::classic::ClassicInstances instances_;
  web::classic::ClassicDoor door_;
};

/// The ports of compat.sinch_hosts that stand alone: the server listens there too.
std::vector<std::uint16_t> classic_ports(const config::Settings& settings);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_CLASSIC_H_
