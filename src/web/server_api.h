// The server API: what the team's own backend asks of the gateway, as an application.
//
// A request is signed with an application's secret (countersign/signed_request.h) and reaches that
// application's users only; it reads and sets no cookie. Messages go through the gateway's own
// desk: the same checks, the same store, the same reply. Requests that act, but for sends, which
// carry their own `msg_id`, are good once: this node remembers their signatures as long as their
// timestamps hold.
//
// Thread-safety: every call may be made from any shard.
// Source: docs/guides/server-api.md; docs/reference/ticket-format.md, "Signed requests".
#ifndef COUNTERSIGN_WEB_SERVER_API_H_
#define COUNTERSIGN_WEB_SERVER_API_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/replay_cache.h"
#include "countersign/result.h"

#include "accounts/directory.h"
#include "base/clock.h"
#include "base/worker_pool.h"
#include "gateway/messaging.h"
#include "gateway/send_budget.h"
#include "net/http_handler.h"
#include "storage/store.h"
#include "web/call.h"
#include "web/server_api_text.h"

namespace countersign::web {

/// What the API works with; all of it outlives the API.
struct ServerApiParts {
  std::function<std::shared_ptr<const KeyRing>()> ring;
  Policy policy;
  std::string accounts_application;  ///< whose users have the accounts of this server
  gateway::Messaging& messaging;
  storage::Store& store;
  accounts::Directory& directory;
  base::WorkerPool& workers;
  const base::Clock& clock;
  double requests_per_second = 500;  ///< of one application
};

class ServerApi {
 public:
  explicit ServerApi(ServerApiParts parts);

  /// Answers a call of a route with Access::kApplication.
  net::Awaitable<net::Response> answer(const Call& call);

 private:
  /// The application that signed the request.
  Result<std::string> verify(const net::Request& request);
  net::Awaitable<net::Response> dispatch(const Call& call, std::string application);

  // Through the gateway's desks.
  net::Awaitable<net::Response> send(const Call& call, std::string application);
  net::Awaitable<net::Response> conversations(const Call& call, storage::UserKey user);
  net::Awaitable<net::Response> history(const Call& call, storage::UserKey user);
  net::Awaitable<net::Response> presence(const Call& call, storage::UserKey user);
  /// Asks as `user`, with a command as clients send it, `{"id":1,"VERB":{…}}`.
  net::Awaitable<net::Response> ask(const Call& call, storage::UserKey user, std::string command);

  // On the store; each answers on a worker.
  using Work = std::function<Result<net::Response>()>;
  net::Awaitable<net::Response> on_worker(const Call& call, Work work);
  Result<net::Response> inbox(const storage::UserKey& user);
  Result<net::Response> list_instances(const storage::UserKey& user, const ApiQuery& query);
  Result<net::Response> end_instance(const storage::UserKey& user, std::string_view instance);
  Result<net::Response> revoke_device(const storage::UserKey& user, const std::string& device);
  Result<net::Response> sign_out(const storage::UserKey& user);
  Result<net::Response> export_page(const storage::UserKey& user, const ApiQuery& query,
                                    const std::string& path);
  Result<net::Response> erase(const storage::UserKey& user);

  const ServerApiParts parts_;
  BoundedReplayCache seen_;
  gateway::SendBudget budget_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_SERVER_API_H_
