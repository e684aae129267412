#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <iterator>
#include <memory>

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/worker_pool.h"

namespace countersign::net {
namespace {

const std::vector<Network>& special_networks() {
  static const std::vector<Network> networks = [] {
    constexpr std::array kSpecial = {
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  // a cloud's metadata
        // Of IPv6 only the global unicast range is public, and of that not:
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    };
    std::vector<Network> parsed;
    parsed.reserve(std::size(kSpecial));
    for (const char* text : kSpecial) parsed.push_back(Network::parse(text).value());
    return parsed;
  }();
  return networks;
}

IpAddress address_of(const curl_sockaddr& address) {
  IpAddress ip;
  if (address.family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.addr, sizeof v4);
    std::memcpy(ip.bytes.data(), &v4.sin_addr, 4);
    return ip;
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address.addr, std::min<std::size_t>(sizeof v6, address.addrlen));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    std::copy(bytes + 12, bytes + 16, ip.bytes.begin());
    return ip;
  }
  ip.is_v4 = false;
  std::copy(bytes, bytes + 16, ip.bytes.begin());
  return ip;
}

/// One exchange, as curl's callbacks see it.
struct Exchange {
  const std::atomic<bool>& stopping;
  bool private_allowed = false;
  bool denied = false;
  std::size_t room = 0;  ///< for the answer's body
};

curl_socket_t open_socket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(context);
  const bool internet = address->family == AF_INET || address->family == AF_INET6;
  if (!internet || (!exchange.private_allowed && !is_public_address(address_of(*address)))) {
    exchange.denied = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t take_body(char*, std::size_t, std::size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (size > exchange.room) return 0;
  exchange.room -= size;
  return size;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(context)->stopping ? 1 : 0;
}

const char* failure_word(CURLcode code, const Exchange& exchange) {
  if (exchange.denied) return "address_denied";
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return "not_resolved";
    case CURLE_COULDNT_CONNECT:
      return "not_connected";
    case CURLE_OPERATION_TIMEDOUT:
      return "timeout";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
      return "tls_failed";
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return "aborted";
    default:
      return "bad_answer";
  }
}

std::string url_text(const base::HttpUrl& url) {
  const std::string host =
      url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  return (url.secure ? "https://" : "http://") + host + ":" + std::to_string(url.port) + url.target;
}

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, CurlDeleter>;
using HeaderList = std::unique_ptr<curl_slist, CurlDeleter>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return;
  static_cast<void>(list.release());
  list.reset(longer);
}

}  // namespace

bool is_public_address(const IpAddress& address) {
  // 2000::/3 is all of IPv6 that is given out.
  if (!address.is_v4 && (address.bytes[0] & 0xe0) != 0x20) return false;
  const auto& special = special_networks();
  return std::none_of(special.begin(), special.end(),
                      [&](const Network& network) { return network.contains(address); });
}

struct HttpClient::State {
  explicit State(HttpClientOptions given)
      : options(std::move(given)), pool("http-client", options.threads, options.max_queue) {}

  HttpOutcome exchange(const HttpPost& post) {
    // One handle a thread: it keeps its connections.
    thread_local Handle handle;
    if (!handle) handle.reset(curl_easy_init());
    if (!handle) return {0, "overloaded", std::nullopt};
    CURL* const curl = handle.get();
    curl_easy_reset(curl);
    const auto& allowed = options.allowed_private_hosts;
    Exchange exchange{stopping,
                      std::find(allowed.begin(), allowed.end(), post.url.host) != allowed.end(),
                      false, options.max_answer_bytes};
    HeaderList headers;
    for (const auto& [name, value] : post.headers) {
      std::string line = name;
      line.append(": ").append(value);
      append(headers, line);
    }
    append(headers, "Expect:");
    append(headers, "Accept:");
    const std::string url = url_text(post.url);
    const auto set = [curl](CURLoption option, auto value) {
      curl_easy_setopt(curl, option, value);
    };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_USERAGENT, "countersign");
    set(CURLOPT_HTTPHEADER, headers.get());
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, post.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post.body.size()));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout.count()));
    set(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(CURLOPT_OPENSOCKETDATA, &exchange);
    set(CURLOPT_WRITEFUNCTION, take_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, &exchange);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());

    const CURLcode code = curl_easy_perform(curl);
    HttpOutcome outcome;
    // A body that was too long, or stopped in the middle, does not change what the status said.
    const bool answered =
        code == CURLE_OK || code == CURLE_WRITE_ERROR || code == CURLE_PARTIAL_FILE;
    long status = 0;
    if (answered) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 0) {
      outcome.failure = failure_word(code, exchange);
      return outcome;
    }
    outcome.status = static_cast<int>(status);
    curl_off_t wait = 0;
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0) {
      outcome.retry_after = std::chrono::seconds(wait);
    }
    return outcome;
  }

  const HttpClientOptions options;
  std::atomic<bool> stopping{false};
  base::WorkerPool pool;
};

HttpClient::HttpClient(HttpClientOptions options) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(ready);
  state_ = std::make_unique<State>(std::move(options));
}

HttpClient::~HttpClient() { stop(); }

void HttpClient::post(HttpPost post, std::function<void(HttpOutcome)> done) {
  auto shared = std::make_shared<HttpPost>(std::move(post));
  const bool submitted = state_->pool.try_submit([state = state_.get(), shared, done] {
    done(state->stopping ? HttpOutcome{0, "stopping", std::nullopt} : state->exchange(*shared));
  });
  if (!submitted) done({0, "overloaded", std::nullopt});
}

void HttpClient::stop() {
  state_->stopping = true;
  state_->pool.stop();
}

}  // namespace countersign::net
