#include "app/service.h"

#include <atomic>
#include <chrono>
#include <functional>

#include "accounts/answer_floor.h"
#include "accounts/known_devices.h"
#include "accounts/password_change.h"
#include "accounts/password_pool.h"
#include "accounts/sign_in.h"
#include "accounts/sign_up.h"
#include "app/bus_choice.h"
#include "app/callbacks.h"
#include "app/classic.h"
#include "app/core.h"
#include "app/housekeeping.h"
#include "app/recipients.h"
#include "app/service_options.h"
#include "base/jump_guard.h"
#include "base/log.h"
#include "base/worker_pool.h"
#include "gateway/gateway.h"
#include "issuing/issuer.h"
#include "net/server.h"
#include "sessions/session_service.h"
#include "web/gateway_door.h"
#include "web/server_api.h"
#include "web/site.h"
#include "web/site_origin.h"

namespace countersign::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Tasks of the gateway that may wait for a thread: when all clients of a node come back at once,
/// each wants a few. Its threads are its own, so that pages and tickets do not wait for them.
constexpr std::size_t kGatewayQueue = 65'536;

/// `HOST:PORT` as a URL says it: wildcard addresses become localhost, IPv6 gets its brackets.
std::string url_authority(const std::string& host, std::uint16_t port) {
  std::string shown = host == "0.0.0.0" || host == "::" ? "localhost" : host;
  if (shown.find(':') != std::string::npos) shown = "[" + shown + "]";
  return shown + ":" + std::to_string(port);
}

/// Removes what is due in small bites, so that nobody waits for a long transaction, until nothing
/// is due or a share of the minute is used up.
Result<void> sweep(const std::function<Result<std::size_t>(std::size_t)>& remove) {
  constexpr std::size_t kBite = 500;
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  for (;;) {
    const auto removed = remove(kBite);
    if (!removed) return removed.failure();
    if (*removed < kBite || std::chrono::steady_clock::now() > end) return {};
  }
}

/// Hands revocations that the poller hears to the cache of sessions.
class CacheListener final : public gateway::RevocationListener {
 public:
  explicit CacheListener(sessions::SessionService& sessions) : sessions_(sessions) {}
  void on_revocations(std::span<const storage::Revocation> revocations) override {
    for (const auto& revocation : revocations) sessions_.on_revocation(revocation);
  }
  void on_gap() override { sessions_.forget_cached(); }

 private:
  sessions::SessionService& sessions_;
};

/// The parts in the order in which they depend on each other: destroyed from the last to the first.
class RunningService final : public Service {
 public:
  static Result<std::unique_ptr<Service>> start(const config::Settings& settings);
  ~RunningService() override { stop(milliseconds(0)); }

  std::string url() const override { return url_; }
  void reload() override;
  void drain_and_stop() override { stop(seconds(settings().server_drain_seconds)); }

 private:
  RunningService(std::unique_ptr<Core> core, std::unique_ptr<AccountTools> tools,
                 accounts::PasswordHasher hasher, accounts::AccountKeys keys,
                 std::unique_ptr<web::SiteOrigin> origin, std::unique_ptr<bus::Bus> bus);

  const config::Settings& settings() const { return core_->settings(); }
  accounts::Parts parts() {
    return {core_->store(), core_->clock(), core_->random(), core_->metrics(),
            hasher_,        pool_,          throttle_,       devices_};
  }
  web::SiteContext site_context();
  web::ServerApiParts server_api_parts();
  gateway::MessagingSetup messaging_setup() {
    return {messaging_options(settings(), core_->store_clock()), *bus_, &recipients_,
            core_->master_key().bytes.bytes()};
  }
  gateway::InstanceKeys instance_keys() const {
    return {core_->master_key().id, core_->master_key().bytes.bytes()};
  }
  Result<void> ready() const;
  Result<void> make_classic_side();
  Result<void> listen();
  void listen_for_metrics();
  void add_jobs();
  void warn() const;
  void stop(milliseconds limit);

  std::unique_ptr<Core> core_;
  std::unique_ptr<AccountTools> tools_;
  base::WorkerPool workers_;
  base::WorkerPool gateway_workers_;
  accounts::PasswordHasher hasher_;
  accounts::PasswordPool pool_;
  accounts::PasswordPolicy policy_;
  accounts::Throttle throttle_;
  accounts::KnownDevices devices_;
  accounts::AnswerFloor sign_in_floor_;
  accounts::AnswerFloor api_floor_;
  accounts::AnswerFloor sign_up_floor_;
  accounts::SignIn sign_in_;
  accounts::SignIn api_sign_in_;
  accounts::SignUp sign_up_;
  accounts::PasswordChange password_change_;
  sessions::SessionService sessions_;
  CacheListener cache_listener_;
  issuing::Issuer issuer_;
  std::unique_ptr<bus::Bus> bus_;
  Recipients recipients_;
  const gateway::MessagingSetup messaging_;
  gateway::Gateway gateway_;
  std::unique_ptr<Callbacks> callbacks_;
  std::unique_ptr<web::SiteOrigin> origin_;
  web::ServerApi server_api_;
  web::Site site_;
  web::GatewayDoor door_;
  std::unique_ptr<ClassicSide> classic_;
  web::MetricsSite metrics_site_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<net::Server> metrics_server_;
  base::JumpGuard jump_guard_{core_->store_clock().now(), core_->store_clock().steady()};
  Housekeeping housekeeping_;
  std::string url_;
  std::atomic<bool> draining_{false};
  bool stopped_ = false;
};

Result<std::unique_ptr<Service>> RunningService::start(const config::Settings& settings) {
  base::set_log_level(log_level(settings));
  auto core = Core::open(settings, Core::Purpose::kServe);
  if (!core) return core.failure();
  auto tools = AccountTools::create(**core);
  if (!tools) return tools.failure();
  const auto& master = (*core)->master_key();
  auto keys = accounts::AccountKeys::derive(master.id, master.bytes.bytes());
  auto hasher = accounts::PasswordHasher::create(hash_options(settings),
                                                 std::move(keys.password_keys), (*core)->random());
  if (!hasher) return hasher.failure();
  auto origin = web::SiteOrigin::create(settings.server_public_url, settings.server_allowed_origins,
                                        settings.server_insecure_cookies);
  if (!origin) return origin.failure();
  auto bus = open_bus(settings, master.id, (*core)->clock(), (*core)->random(), (*core)->metrics());
  if (!bus) return bus.failure();
  std::unique_ptr<RunningService> service(new RunningService(std::move(*core), std::move(*tools),
                                                             std::move(*hasher), std::move(keys),
                                                             std::move(*origin), std::move(*bus)));
  service->gateway_.poller().add_listener(service->cache_listener_);
  if (auto made = service->make_classic_side(); !made) return made.failure();
  if (auto started = service->gateway_.start(); !started) return started.failure();
  if (service->classic_) service->classic_->start();
  auto callbacks = Callbacks::start(*service->core_);
  if (!callbacks) return callbacks.failure();
  service->callbacks_ = std::move(*callbacks);
  if (auto listening = service->listen(); !listening) return listening.failure();
  service->listen_for_metrics();
  service->add_jobs();
  service->warn();
  base::log_info("serving", {{"url", service->url_},
                             {"public_url", service->origin_->facts().origin},
                             {"application_key", service->core_->applications().default_key()}});
  return std::unique_ptr<Service>(std::move(service));
}

RunningService::RunningService(std::unique_ptr<Core> core, std::unique_ptr<AccountTools> tools,
                               accounts::PasswordHasher hasher, accounts::AccountKeys keys,
                               std::unique_ptr<web::SiteOrigin> origin,
                               std::unique_ptr<bus::Bus> bus)
    : core_(std::move(core)),
      tools_(std::move(tools)),
      workers_("store", static_cast<std::size_t>(settings().storage_workers), 4096),
      gateway_workers_("gateway", static_cast<std::size_t>(settings().storage_workers),
                       kGatewayQueue),
      hasher_(std::move(hasher)),
      pool_(pool_options(settings())),
      policy_(password_policy_options(settings())),
      throttle_(core_->store().throttles(), core_->clock(), std::move(keys.throttle_key),
                throttle_options(settings())),
      devices_(core_->store().known_devices(), core_->clock(), core_->random(),
               std::move(keys.device_key), {}),
      sign_in_floor_(floor_options(settings()), core_->random()),
      api_floor_(floor_options(settings()), core_->random()),
      sign_up_floor_(floor_options(settings()), core_->random()),
      sign_in_(parts(), sign_in_floor_),
      api_sign_in_(parts(), api_floor_),
      sign_up_(parts(), policy_, sign_up_floor_,
               {settings().accounts_sign_up == "open", settings().issuing_identity != "username"}),
      password_change_(parts(), policy_, sign_in_floor_),
      sessions_(core_->store(), core_->clock(), core_->random(), core_->metrics(),
                session_options(settings())),
      cache_listener_(sessions_),
      issuer_(core_->applications().ring(), core_->store(), sessions_, core_->clock(),
              core_->metrics(), issuer_options(settings(), core_->applications().default_key())),
      bus_(std::move(bus)),
      recipients_(tools_->directory(), core_->applications().default_key(),
                  issuing::parse_identity_mode(settings().issuing_identity)
                      .value_or(issuing::IdentityMode::kUsername)),
      messaging_(messaging_setup()),
      gateway_(
          gateway_options(settings(), core_->store_clock()), core_->store(), gateway_workers_,
          core_->clock(), core_->random(), core_->metrics(),
          [this] { return core_->applications().ring(); },
          settings().gateway_ticket_policy == "strict" ? Policy::strict()
                                                       : Policy::default_policy(),
          instance_keys(), &messaging_),
      origin_(std::move(origin)),
      server_api_(server_api_parts()),
      site_(site_context()),
      door_(
          door_options(settings()), *origin_,
          [this](const net::Request& request, net::Shard& shard) {
            return gateway_.open(request.client.text(), shard.index());
          },
          core_->metrics()),
      metrics_site_(core_->metrics()) {}

web::SiteContext RunningService::site_context() {
  web::SiteOptions options;
  options.query_credentials = settings().compat_query_credentials;
  options.throttle_ipv4_bits = static_cast<int>(settings().accounts_throttle_ipv4_bits);
  options.ready = [this] { return ready(); };
  options.revoked = [this] { gateway_.hasten_revocation(); };
  return {options,          *origin_,    sign_in_, sign_in_floor_,
          api_sign_in_,     api_floor_,  sign_up_, sign_up_floor_,
          password_change_, pool_,       policy_,  tools_->directory(),
          sessions_,        issuer_,     workers_, core_->clock(),
          core_->random(),  &server_api_};
}

web::ServerApiParts RunningService::server_api_parts() {
  return {[this] { return core_->applications().ring(); },
          Policy::default_policy(),
          core_->applications().default_key(),
          *gateway_.messaging(),
          core_->store(),
          tools_->directory(),
          workers_,
          core_->clock(),
          static_cast<double>(settings().limits_server_api_per_second)};
}

Result<void> RunningService::ready() const {
  if (draining_.load(std::memory_order_relaxed)) return fail(ErrorCode::kNotReady, "draining");
  if (gateway_.fenced()) return fail(ErrorCode::kNotReady, "cut off from the store");
  if (!core_->store_clock().agrees()) {
    return fail(ErrorCode::kNotReady, "the clock is " +
                                          std::to_string(core_->store_clock().offset().count()) +
                                          " ms off the store's");
  }
  return {};
}

Result<void> RunningService::make_classic_side() {
  auto side = ClassicSide::create({*core_, gateway_, recipients_, workers_, site_, site_context()});
  if (!side) return side.failure();
  classic_ = *std::move(side);
  return {};
}

Result<void> RunningService::listen() {
  const auto& s = settings();
  auto options = server_options(s, "server.listen", s.server_listen);
  if (!options) return options.failure();
  if (!s.server_tls_certificate.empty()) {
    options->certificate_file = s.server_tls_certificate;
    options->key_file = s.server_tls_key;
  }
  options->more_ports = classic_ports(s);
  net::HttpHandler& handler = classic_ ? classic_->handler() : site_;
  auto server = net::Server::create(*options, handler, &door_, core_->clock(), core_->random(),
                                    core_->metrics());
  if (auto started = server->start(); !started) return started.failure();
  server_ = std::move(server);
  url_ = (server_->tls() ? "https://" : "http://") + url_authority(options->host, server_->port());
  if (s.server_public_url.empty()) {
    if (auto set = origin_->set_public_url(url_); !set) return set.failure();
  }
  return {};
}

void RunningService::listen_for_metrics() {
  const auto& s = settings();
  if (s.metrics_listen.empty()) return;
  auto options = server_options(s, "metrics.listen", s.metrics_listen);
  if (!options) return;  // load_settings() has checked it
  options->shards = 1;
  options->trusted_proxies.clear();
  metrics_server_ = net::Server::create(*options, metrics_site_, nullptr, core_->clock(),
                                        core_->random(), core_->metrics());
  if (auto started = metrics_server_->start(); !started) {
    metrics_server_.reset();
    base::log_warning("metrics_not_served", {{"listen", s.metrics_listen},
                                             {"reason", error_name(started.code())},
                                             {"detail", started.error().detail}});
    return;
  }
  base::log_info("metrics_served",
                 {{"listen", url_authority(options->host, metrics_server_->port())}});
}

void RunningService::add_jobs() {
  housekeeping_.add("applications", seconds(1), [this]() -> Result<void> {
    const auto changed = core_->applications().refresh();
    if (!changed) return changed.failure();
    if (*changed) {
      issuer_.set_ring(core_->applications().ring());
      base::log_info("secrets_reloaded");
    }
    return {};
  });
  if (store_is_shared(settings())) {
    housekeeping_.add("store_clock", seconds(1), [this] { return core_->check_store_clock(); });
  }
  housekeeping_.add("time_mark", seconds(30), [this] { return core_->exchange_time_mark(); });
  housekeeping_.add("expired_rows", minutes(1), [this]() -> Result<void> {
    const auto& clock = core_->store_clock();
    const auto verdict = jump_guard_.check(clock.now(), clock.steady());
    if (verdict.jumped) {
      base::log_error("clock_jumped", {{"seconds", verdict.jumped->count()},
                                       {"action", "nothing that has expired is removed"}});
    }
    // These go by this node's own time: one that is not ready leaves them to the others.
    if (!verdict.may_run || !clock.agrees()) return {};
    if (auto done = sweep([this](std::size_t most) { return sessions_.sweep(most); }); !done) {
      return done;
    }
    return sweep([this](std::size_t most) { return throttle_.sweep(most); });
  });
  housekeeping_.start();
}

void RunningService::warn() const {
  const auto& facts = origin_->facts();
  if (!facts.cookies_work) {
    base::log_warning(
        "cookies_will_not_work",
        {{"public_url", facts.origin},
         {"why", "browsers keep the sign-in cookie over https or on this machine alone"},
         {"what_helps",
          "an https server.public_url, or server.insecure_cookies for "
          "development"}});
  }
  if (settings().server_insecure_cookies) {
    base::log_warning("insecure_cookies", {{"why", "server.insecure_cookies is on"}});
  }
  if (settings().compat_query_credentials) {
    base::log_warning("query_credentials", {{"why", "passwords in query strings end up in logs"}});
  }
  if (settings().issuing_identity != "username") {
    const auto unconfirmed = core_->store().accounts().count_unconfirmed();
    base::log_warning("unconfirmed_addresses_are_identities",
                      {{"identity", settings().issuing_identity},
                       {"unconfirmed", unconfirmed ? *unconfirmed : 0}});
  }
}

void RunningService::reload() {
  if (server_->tls()) {
    const auto done = server_->reload_certificate();
    if (done) {
      base::log_info("certificate_reloaded");
    } else {
      base::log_error("certificate_not_reloaded",
                      {{"reason", error_name(done.code())}, {"detail", done.error().detail}});
    }
  }
  const auto done = core_->applications().reload();
  if (done) {
    issuer_.set_ring(core_->applications().ring());
    base::log_info("secrets_reloaded");
  } else {
    base::log_error("secrets_not_reloaded",
                    {{"reason", error_name(done.code())}, {"detail", done.error().detail}});
  }
}

void RunningService::stop(milliseconds limit) {
  if (stopped_) return;
  stopped_ = true;
  draining_ = true;
  housekeeping_.stop();
  if (server_) {
    base::log_info("draining", {{"seconds", std::chrono::duration_cast<seconds>(limit).count()}});
    gateway_.hub().shut_down(limit / 2);
    if (classic_) classic_->shut_down();
    server_->drain(limit);
    server_->stop();
  }
  if (metrics_server_) metrics_server_->stop();
  pool_.stop();
  workers_.stop();
  gateway_workers_.stop();
  if (classic_) classic_->stop();
  gateway_.stop();
  callbacks_.reset();
  base::log_info("stopped");
}

}  // namespace

Result<std::unique_ptr<Service>> Service::start(const config::Settings& settings) {
  return RunningService::start(settings);
}

}  // namespace countersign::app
