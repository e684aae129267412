// offload: runs blocking work on a worker pool while the coroutine waits on its shard.
// Thread-safety: call from a coroutine of `shard`.
#ifndef COUNTERSIGN_NET_OFFLOAD_H_
#define COUNTERSIGN_NET_OFFLOAD_H_

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/worker_pool.h"
#include "net/http_handler.h"
#include "net/server.h"

namespace countersign::net {

/// Waits for a callback that comes from another thread. `start` is called at once with a function
/// `done(T)`, which it must arrange to be called exactly once, from any thread; the coroutine goes
/// on on its shard with the value.
template <class T, class Start>
Awaitable<T> await_callback(Shard& shard, Start start) {
  using Token = boost::asio::use_awaitable_t<boost::asio::io_context::executor_type>;
  auto slot = std::make_shared<std::optional<T>>();
  // Named, and handed over by move: GCC 12 destroys an unnamed closure of a co_await twice.
  auto initiate = [&shard, slot, &start](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    start(std::function<void(T)>([&shard, slot, shared](T value) {
      slot->emplace(std::move(value));
      shard.post([shared] { (*shared)(); });
    }));
  };
  co_await boost::asio::async_initiate<const Token, void()>(std::move(initiate), Token());
  co_return std::move(**slot);
}

/// Runs `work` (which returns a Result) on `pool`. kOverloaded if the pool's queue is full.
template <class Work>
Awaitable<std::invoke_result_t<Work>> offload(Shard& shard, base::WorkerPool& pool, Work work) {
  using R = std::invoke_result_t<Work>;
  // std::function wants copyable targets; work may own secrets that only move.
  auto owned = std::make_shared<Work>(std::move(work));
  auto start = [&pool, owned](std::function<void(R)> done) {
    if (!pool.try_submit([owned, done] { done((*owned)()); })) {
      done(R(fail(ErrorCode::kOverloaded, "the worker pool's queue is full")));
    }
  };
  co_return co_await await_callback<R>(shard, std::move(start));
}

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_OFFLOAD_H_
