// Classic REST: the requests of the classic SDK besides its polls: clock, instance, configuration,
// transports, reports, accounts.
// Thread-safety: every call may be made from any shard.
// Source: docs/reference/classic-door.md, "REST".
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_REST_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_REST_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/policy.h"
#include "countersign/result.h"

#include "base/clock.h"
#include "base/worker_pool.h"
#include "gateway/classic/classic_gateway.h"
#include "net/http_handler.h"
#include "web/classic/classic_accounts.h"
#include "web/classic/classic_instances.h"
#include "web/classic/classic_routes.h"
#include "web/site_context.h"

namespace countersign::web::classic {

struct ClassicRestOptions {
  /// compat.sinch_hosts: `NAME`, `NAME:PORT` or `:PORT` where clients find the publish-subscribe
  /// plane. Empty: the host of server.public_url.
  std::vector<std::string> hosts;
  /// compat.sinch_accounts: password sign-in and sign-up.
  bool accounts = true;
  /// compat.sinch_path_prefix: what a proxy takes away from the front of paths.
  std::string path_prefix;
};

/// All of it outlives the REST side.
struct ClassicRestParts {
  ClassicRestOptions options;
  const SiteContext& site;
  gateway::KeyRingProvider ring;
  std::string accounts_application;  ///< whose users have the accounts of this server
  gateway::classic::ClassicGateway& gateway;
  ClassicInstances& instances;
  base::WorkerPool& workers;
};

class ClassicRest {
 public:
  explicit ClassicRest(ClassicRestParts parts);

  /// Answers a request of `match.route`, which is not null.
  net::Awaitable<net::Response> answer(const net::Request& request, net::Shard& shard,
                                       const RestMatch& match);

 private:
  using Work = std::function<Result<std::string>()>;
  /// Runs `work` on a worker and answers with the JSON it returns.
  net::Awaitable<net::Response> on_worker(const net::Request& request, net::Shard& shard,
                                          Work work);
  net::Awaitable<net::Response> give_instance(const net::Request& request, net::Shard& shard,
                                              const RestMatch& match);
  net::Awaitable<net::Response> with_accounts(const net::Request& request, net::Shard& shard,
                                              const RestMatch& match);
  net::Awaitable<net::Response> of_instance(const net::Request& request, net::Shard& shard,
                                            RestEndpoint endpoint);
  /// The live instance that signed the request. Blocks.
  Result<storage::Instance> verify(const net::Request& request, std::string_view id) const;
  /// What an authenticated instance gets. Blocks.
  Result<std::string> serve(const net::Request& request, RestEndpoint endpoint,
                            const storage::Instance& instance) const;
  std::string configuration(const storage::Instance& instance) const;
  std::string host(std::size_t choice) const;
  net::Response refuse(const net::Request& request, const Error& error) const;

  const ClassicRestParts parts_;
  const ClassicAccounts accounts_;
  const Policy policy_ = Policy::default_policy();
  mutable std::atomic<std::size_t> next_host_{0};
};

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_REST_H_
