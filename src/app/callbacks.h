// Callbacks: the part of the running server that tells the team's own backend what happens, as
// callbacks.url asks for: the store's outbox, the worker that empties it, and the client it posts
// with.
// Thread-safety: start() and the destructor on one thread.
#ifndef COUNTERSIGN_APP_CALLBACKS_H_
#define COUNTERSIGN_APP_CALLBACKS_H_

#include <memory>
#include <optional>

#include "countersign/result.h"

#include "app/core.h"
#include "gateway/callback_worker.h"
#include "net/http_client.h"

namespace countersign::app {

class Callbacks {
 public:
  /// Has the store keep callbacks, or keep none if callbacks.url is empty: null then. kBadSetting
  /// if the store cannot; kStoreFailed. `core` outlives this.
  static Result<std::unique_ptr<Callbacks>> start(Core& core);
  /// Cuts off what is under way; another start posts it again.
  ~Callbacks();

 private:
  explicit Callbacks(Core& core);

  std::optional<net::HttpClient> client_;
  std::optional<gateway::CallbackWorker> worker_;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_CALLBACKS_H_
