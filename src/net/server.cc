#include "net/server.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "net/client_address.h"
#include "net/listener.h"
#include "net/server_context.h"
#include "net/shard_impl.h"

namespace countersign::net {
namespace {

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, HttpHandler& handler, WebSocketDoor* door,
             const base::Clock& clock, base::Random& random, base::Metrics& metrics)
      : context_(std::move(options), handler, door, clock, random, metrics),
        listener_([this](UniqueFd socket, bool is_v4,
                         const IpAddress& peer) { place(std::move(socket), is_v4, peer); },
                  context_.metrics.accept_failures) {
    std::size_t count = context_.options.shards;
    if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
    for (std::size_t i = 0; i < count; ++i) {
      shards_.push_back(std::make_unique<ShardImpl>(i, context_));
    }
  }
  ~ServerImpl() override { stop(); }

  Result<void> start() override {
    if (tls()) {
      if (auto loaded = reload_certificate(); !loaded) return loaded;
    }
    if (auto opened = listener_.open(context_.options.host, context_.options.port); !opened) {
      return opened;
    }
    for (const std::uint16_t port : context_.options.more_ports) {
      if (auto opened = listener_.open_another(context_.options.host, port); !opened) return opened;
    }
    for (const auto& shard : shards_) shard->start();
    listener_.start();
    return {};
  }

  std::uint16_t port() const override { return listener_.port(); }
  bool tls() const override {
    return context_.options.certificate_file.has_value() || context_.options.key_file.has_value();
  }
  std::size_t shard_count() const override { return shards_.size(); }
  Shard& shard(std::size_t index) override { return *shards_[index]; }
  std::size_t connections() const override { return context_.limits.open(); }

  Result<void> reload_certificate() override {
    const auto& options = context_.options;
    if (!tls()) return {};
    if (!options.certificate_file || !options.key_file) {
      return fail(ErrorCode::kBadSetting,
                  "server.tls_certificate and server.tls_key belong together");
    }
    auto loaded = TlsContext::load(*options.certificate_file, *options.key_file);
    if (!loaded) return loaded.failure();
    context_.set_tls(std::move(*loaded));
    return {};
  }

  void drain(std::chrono::milliseconds limit) override {
    context_.draining = true;
    listener_.close();
    for (const auto& shard : shards_) shard->drain(false);
    const auto patience = limit * 3 / 4;
    if (context_.limits.wait_until_none(patience)) return;
    for (const auto& shard : shards_) shard->drain(true);
    context_.limits.wait_until_none(limit - patience);
  }

  void stop() override {
    context_.draining = true;
    listener_.close();
    for (const auto& shard : shards_) shard->stop();
  }

 private:
  void place(UniqueFd socket, bool is_v4, const IpAddress& peer) {
    auto admission =
        context_.limits.admit(peer, is_trusted(peer, context_.options.trusted_proxies));
    if (admission.kind() == Admission::Kind::kNone) {
      context_.metrics.refused_unanswered.add();
      return;  // closed without a word: enough are being told already
    }
    const auto least =
        std::min_element(shards_.begin(), shards_.end(),
                         [](const auto& a, const auto& b) { return a->load() < b->load(); });
    (*least)->adopt(std::move(socket), is_v4, peer, std::move(admission));
  }

  ServerContext context_;
  std::vector<std::unique_ptr<ShardImpl>> shards_;
  Listener listener_;
};

}  // namespace

std::unique_ptr<Server> Server::create(ServerOptions options, HttpHandler& handler,
                                       WebSocketDoor* door, const base::Clock& clock,
                                       base::Random& random, base::Metrics& metrics) {
  return std::make_unique<ServerImpl>(std::move(options), handler, door, clock, random, metrics);
}

}  // namespace countersign::net
