// SiteWorld: a whole site over real services and a SQLite store, for tests. Requests run to their
// answer in the test's own thread; hashing and storage use their real threads.
#ifndef COUNTERSIGN_WEB_TESTING_SITE_WORLD_H_
#define COUNTERSIGN_WEB_TESTING_SITE_WORLD_H_

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "countersign/key_ring.h"

#include "accounts/testing/account_world.h"
#include "issuing/issuer.h"
#include "issuing/testing/hooked_store.h"
#include "net/server.h"
#include "sessions/session_service.h"
#include "web/site.h"
#include "web/testing/request_builder.h"

namespace countersign::web {

/// A shard that the test's thread runs.
class TestShard final : public net::Shard {
 public:
  std::size_t index() const override { return 0; }
  boost::asio::io_context& context() override { return context_; }
  void post(std::function<void()> task) override { boost::asio::post(context_, std::move(task)); }

  /// Runs the coroutine to its end and returns what it returned.
  net::Response run(net::Awaitable<net::Response> work) {
    std::optional<net::Response> response;
    std::exception_ptr failure;
    context_.restart();
    boost::asio::co_spawn(
        context_, std::move(work),
        [this, &response, &failure](const std::exception_ptr& thrown, net::Response answer) {
          failure = thrown;
          if (!thrown) response = std::move(answer);
          context_.stop();
        });
    // Answers come back from other threads: without the guard the context would find nothing to do.
    const auto guard = boost::asio::make_work_guard(context_);
    context_.run();
    if (failure) std::rethrow_exception(failure);
    return *std::move(response);
  }

 private:
  boost::asio::io_context context_{1};
};

/// The cookies of one browser: takes Set-Cookie, gives Cookie.
class CookieJar {
 public:
  void take(const net::Response& response) {
    for (const auto& [name, value] : response.headers) {
      if (name != "Set-Cookie") continue;
      const std::size_t equals = value.find('=');
      const std::string cookie = value.substr(0, equals);
      const std::string content = value.substr(equals + 1, value.find(';') - equals - 1);
      cookies_.erase(cookie);
      if (!content.empty()) cookies_[cookie] = content;
    }
  }
  std::string header() const {
    std::string line;
    for (const auto& [name, value] : cookies_) {
      if (!line.empty()) line += "; ";
      line += name + '=' + value;
    }
    return line;
  }
  std::string get(const std::string& name) const {
    const auto at = cookies_.find(name);
    return at == cookies_.end() ? std::string() : at->second;
  }

 private:
  std::map<std::string, std::string> cookies_;
};

class SiteWorld : public accounts::AccountWorld {
 protected:
  static constexpr std::string_view kOrigin = "https://calls.example.org";
  static constexpr std::string_view kPartner = "https://shop.example.net";
  static constexpr std::string_view kApplication = "app-1";

  SiteWorld() { build({}); }
  ~SiteWorld() override {
    workers.stop();
    pool.stop();
  }

  static std::shared_ptr<const KeyRing> test_ring() {
    KeyRing ring;
    EXPECT_TRUE(ring.add(std::string(kApplication),
                         *ApplicationSecret::from_base64("c2l4dGVlbiBieXRlcyBvZiBrZXk="))
                    .ok());
    return std::make_shared<const KeyRing>(std::move(ring));
  }

  struct Setup {
    SiteOptions options = {};
    accounts::SignUpOptions sign_up = {};
    issuing::IdentityMode identity = issuing::IdentityMode::kUsername;
    std::string public_url = std::string(kOrigin);
    bool insecure_cookies = false;
    bool session_member = true;
  };
  /// Builds the site anew.
  void build(Setup setup) {
    site.reset();
    origin = *SiteOrigin::create(setup.public_url, {std::string(kPartner)}, setup.insecure_cookies);
    issuing::IssuerOptions issuing;
    issuing.application_key = kApplication;
    issuing.identity = setup.identity;
    issuing.session_member = setup.session_member;
    issuer =
        std::make_unique<issuing::Issuer>(test_ring(), hooked, sessions, clock, metrics, issuing);
    door = std::make_unique<accounts::SignUp>(parts, policy, no_floor, setup.sign_up);
    site = std::make_unique<Site>(SiteContext{
        setup.options, *origin, sign_in, no_floor, sign_in, no_floor, *door, no_floor,
        password_change, pool, policy, directory, sessions, *issuer, workers, clock, random});
  }

  net::Response send(RequestBuilder& builder) {
    net::Response response = shard.run(site->handle(builder.request(), shard));
    return response;
  }
  /// As a browser that keeps its cookies.
  net::Response browse(RequestBuilder builder) {
    const std::string cookies = jar.header();
    if (!cookies.empty()) builder.header("cookie", cookies);
    builder.from_browser();
    net::Response response = send(builder);
    jar.take(response);
    return response;
  }
  net::Response get(std::string_view path) { return browse(RequestBuilder("GET", path)); }
  net::Response post(std::string_view path, std::string_view form) {
    RequestBuilder builder("POST", path);
    builder.form(form).same_origin();
    return browse(std::move(builder));
  }
  /// Signs a new person up in the jar's browser.
  void sign_up_as(std::string_view name) {
    const net::Response response = post(
        "/users/sign_up", "username=" + std::string(name) + "&password=a+long+and+quiet+afternoon");
    ASSERT_EQ(response.status, 303) << response.body;
  }
  net::Response ask_for_ticket() {
    RequestBuilder builder("POST", "/v1/tickets");
    builder.json("{}").same_origin().header("cookie", jar.header());
    return send(builder);
  }

  TestShard shard;
  base::WorkerPool workers{"test", 2, 64};
  issuing::HookedStore hooked{*store};
  sessions::SessionService sessions{hooked, clock, random, metrics, {}};
  accounts::AnswerFloor no_floor{{std::chrono::microseconds(0), std::chrono::microseconds(0),
                                  std::chrono::microseconds(0), 50},
                                 random};
  std::unique_ptr<SiteOrigin> origin;
  std::unique_ptr<issuing::Issuer> issuer;
  std::unique_ptr<accounts::SignUp> door;
  std::unique_ptr<Site> site;
  CookieJar jar;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_TESTING_SITE_WORLD_H_
