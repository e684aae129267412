#include "app/callbacks.h"

#include <utility>

#include "base/http_url.h"
#include "base/log.h"

namespace countersign::app {
namespace {

net::HttpClientOptions client_options(const config::Settings& settings) {
  net::HttpClientOptions options;
  options.threads = gateway::CallbackWorkerOptions().at_once;  // no post waits for another one
  options.allowed_private_hosts = settings.callbacks_allowed_private_hosts;
  options.ca_file = settings.callbacks_ca_file;
  return options;
}

}  // namespace

Result<std::unique_ptr<Callbacks>> Callbacks::start(Core& core) {
  const config::Settings& settings = core.settings();
  storage::CallbackStore* const store = core.store().callbacks();
  const bool wanted = !settings.callbacks_url.empty();
  if (store == nullptr) {
    if (!wanted) return std::unique_ptr<Callbacks>();
    return fail(ErrorCode::kBadSetting, "callbacks.url: this store keeps no callbacks");
  }
  const auto rows = static_cast<std::size_t>(settings.callbacks_max_rows);
  if (auto kept = store->keep(wanted ? rows : 0); !kept) return kept.failure();
  if (!wanted) return std::unique_ptr<Callbacks>();
  return std::unique_ptr<Callbacks>(new Callbacks(core));
}

Callbacks::Callbacks(Core& core) {
  const config::Settings& settings = core.settings();
  // load_settings() has checked it.
  const base::HttpUrl url = base::parse_http_url(settings.callbacks_url).value_or(base::HttpUrl());
  client_.emplace(client_options(settings));
  gateway::CallbackWorkerOptions options;
  options.target = url.target;
  options.store_clock = &core.store_clock();
  auto poster = [this, url](gateway::CallbackPost post,
                            std::function<void(gateway::CallbackAnswer)> done) {
    net::HttpPost request;
    request.url = url;
    request.headers = {{"Content-Type", std::move(post.content_type)},
                       {"Authorization", std::move(post.authorization)},
                       {"X-Timestamp", std::move(post.x_timestamp)}};
    request.body = std::move(post.body);
    client_->post(std::move(request), [done = std::move(done)](net::HttpOutcome outcome) {
      done({outcome.status, std::move(outcome.failure), outcome.retry_after, false});
    });
  };
  worker_.emplace(
      std::move(options), *core.store().callbacks(), core.store().messages(),
      [&core] { return core.applications().ring(); }, std::move(poster), core.clock(),
      core.random(), core.metrics());
  worker_->start();
  base::log_info("callbacks_on", {{"host", url.host}});
}

Callbacks::~Callbacks() {
  worker_->stop();
  client_->stop();
  worker_->finish();
}

}  // namespace countersign::app
