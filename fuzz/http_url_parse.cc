// Property: a URL that is accepted, written out again from its parts, reads as the same parts; its
// target goes into a request line as it is.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/http_url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto url = countersign::base::parse_http_url(text);
  if (!url) return 0;
  if (url->host.empty() || url->port == 0 || !url->target.starts_with('/')) std::abort();
  for (const char c : url->target) {
    if (c <= ' ' || c >= 0x7f) std::abort();
  }
  const bool v6 = url->host.find(':') != std::string::npos;
  const std::string again = std::string(url->secure ? "https://" : "http://") +
                            (v6 ? "[" + url->host + "]" : url->host) + ":" +
                            std::to_string(url->port) + url->target;
  if (again.size() > 2048) return 0;  // a port was added
  const auto same = countersign::base::parse_http_url(again);
  if (!same || same->host != url->host || same->port != url->port || same->secure != url->secure ||
      same->target != url->target) {
    std::abort();
  }
  return 0;
}
