// Call: one request on its way through the site, with what its handlers ask for again and again.
// Thread-safety: belongs to the coroutine that serves the request, on its shard.
#ifndef COUNTERSIGN_WEB_CALL_H_
#define COUNTERSIGN_WEB_CALL_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/http_handler.h"
#include "net/offload.h"
#include "web/form_body.h"
#include "web/routes.h"
#include "web/site_context.h"

namespace countersign::web {

struct Call {
  const net::Request& request;
  net::Shard& shard;
  const Route& route;
  PathParameters parameters;  ///< what stands for each `{…}` in the route's path
  base::SteadyTime began;
  Fields fields;                         ///< of the body
  std::string_view session_cookie;       ///< empty if there is none
  sessions::SessionCache::View session;  ///< set where the route is for signed-in people
};

/// Where throttles count the request.
accounts::ClientPrefix client_prefix(const net::Request& request, int ipv4_bits);

/// `Firefox on Linux`: the family of a browser, in fixed words, for the list of sessions.
std::string agent_family(std::string_view user_agent);

/// The session's view, or null if the cookie is of no live session. kStoreFailed, kOverloaded.
net::Awaitable<Result<sessions::SessionCache::View>> find_session(const SiteContext& site,
                                                                  net::Shard& shard,
                                                                  std::string cookie);

/// Waits until the floor of a door allows an answer.
net::Awaitable<void> wait_for_floor(const SiteContext& site, net::Shard& shard,
                                    accounts::AnswerFloor& floor, base::SteadyTime began);

/// Runs the steps of an authenticator, a sign-up or a password change where they belong (see
/// accounts/authenticator.h), then `then(authenticated)` in the worker task of the last one.
/// @param then  Authenticated -> Result<T>; may block.
template <class T, class Flow, class Draft, class Then>
net::Awaitable<Result<T>> run_steps(const SiteContext& site, net::Shard& shard, Flow& flow,
                                    Draft draft, Then then) {
  auto shared = std::make_shared<Draft>(std::move(draft));
  auto prepare = [shared, &flow] { return flow.prepare(*shared); };
  const Result<void> prepared = co_await net::offload(shard, site.workers, std::move(prepare));
  if (!prepared) co_return prepared.failure();

  if (shared->wants_hash() && shared->slot) {
    auto start = [shared, &flow, &site](std::function<void(Result<void>)> done) {
      accounts::PasswordPool::Slot slot = std::move(*shared->slot);
      shared->slot.reset();
      site.password_pool.submit(
          std::move(slot), [shared, &flow] { flow.hash(*shared); }, std::move(done));
    };
    // A refusal here means that hash() did not run, which finish() notices by itself.
    const Result<void> hashed = co_await net::await_callback<Result<void>>(shard, std::move(start));
    static_cast<void>(hashed);
  }
  shared->slot.reset();

  auto finish = [shared, &flow, next = std::move(then)]() -> Result<T> {
    Result<accounts::Authenticated> person = flow.finish(std::move(*shared));
    if (!person) return person.failure();
    return next(*std::move(person));
  };
  co_return co_await net::offload(shard, site.workers, std::move(finish));
}

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_CALL_H_
