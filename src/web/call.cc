#include "web/call.h"

#include <array>

namespace countersign::web {
namespace {

struct Word {
  std::string_view mark;  ///< what the User-Agent header holds
  std::string_view name;
};

// In this order: most browsers also name the ones they resemble.
constexpr std::array kBrowsers = {
    Word{"Firefox/", "Firefox"},
    Word{"Edg", "Edge"},
    Word{"OPR/", "Opera"},
    Word{"Chromium/", "Chromium"},
    Word{"HeadlessChrome", "Chromium"},
    Word{"Chrome/", "Chrome"},
    Word{"CriOS/", "Chrome"},
    Word{"Safari/", "Safari"},
    Word{"curl/", "curl"},
};
constexpr std::array kSystems = {
    Word{"Android", "Android"}, Word{"iPhone", "iPhone"},  Word{"iPad", "iPad"},
    Word{"Windows", "Windows"}, Word{"Mac OS X", "macOS"}, Word{"CrOS", "ChromeOS"},
    Word{"Linux", "Linux"},
};

template <std::size_t N>
std::string_view first_match(const std::array<Word, N>& words, std::string_view text) {
  for (const Word& word : words) {
    if (text.find(word.mark) != std::string_view::npos) return word.name;
  }
  return {};
}

}  // namespace

accounts::ClientPrefix client_prefix(const net::Request& request, int ipv4_bits) {
  return {request.client.prefix(ipv4_bits, 64), request.client.prefix(24, 48)};
}

std::string agent_family(std::string_view user_agent) {
  std::string family(first_match(kBrowsers, user_agent));
  if (family.empty()) family = "Unknown browser";
  const std::string_view system = first_match(kSystems, user_agent);
  if (!system.empty()) {
    family += " on ";
    family += system;
  }
  return family;
}

net::Awaitable<Result<sessions::SessionCache::View>> find_session(const SiteContext& site,
                                                                  net::Shard& shard,
                                                                  std::string cookie) {
  using View = sessions::SessionCache::View;
  if (cookie.empty()) co_return View();
  if (View view = site.sessions.cached(cookie)) co_return view;
  auto look_up = [&site, id = std::move(cookie)] { return site.sessions.resolve(id); };
  Result<View> view = co_await net::offload(shard, site.workers, std::move(look_up));
  if (!view && view.code() == ErrorCode::kNotSignedIn) co_return View();
  co_return view;
}

net::Awaitable<void> wait_for_floor(const SiteContext& site, net::Shard& shard,
                                    accounts::AnswerFloor& floor, base::SteadyTime began) {
  const auto wait = floor.deadline(began) - site.clock.steady();
  if (wait <= wait.zero()) co_return;
  using Executor = boost::asio::io_context::executor_type;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      timer(shard.context().get_executor(), wait);
  co_await timer.async_wait(boost::asio::use_awaitable_t<Executor>());
}

}  // namespace countersign::web
