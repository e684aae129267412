// RequestBuilder: requests for tests, with the texts they point to.
#ifndef COUNTERSIGN_WEB_TESTING_REQUEST_BUILDER_H_
#define COUNTERSIGN_WEB_TESTING_REQUEST_BUILDER_H_

#include <deque>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace countersign::web {

/// Builds one request; the builder must outlive its use.
class RequestBuilder {
 public:
  RequestBuilder(std::string_view method, std::string_view target) {
    request_.method = keep(method);
    request_.target = keep(target);
    const std::size_t mark = request_.target.find('?');
    request_.path = request_.target.substr(0, mark);
    if (mark != std::string_view::npos) request_.query = request_.target.substr(mark + 1);
    request_.peer = *net::IpAddress::parse("192.0.2.7");
    request_.client = request_.peer;
    request_.id = "test-request";
  }

  RequestBuilder& header(std::string_view lower_name, std::string_view value) {
    request_.fields.push_back({keep(lower_name), keep(value)});
    return *this;
  }
  RequestBuilder& body(std::string_view type, std::string_view content) {
    header("content-type", type);
    request_.body = keep(content);
    return *this;
  }
  RequestBuilder& form(std::string_view content) {
    return body("application/x-www-form-urlencoded", content);
  }
  RequestBuilder& json(std::string_view content) { return body("application/json", content); }
  /// What a browser says about a request from our own page.
  RequestBuilder& same_origin() { return header("sec-fetch-site", "same-origin"); }
  /// What a browser says that it would like.
  RequestBuilder& from_browser() {
    return header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
  }
  RequestBuilder& from(std::string_view address) {
    request_.client = *net::IpAddress::parse(address);
    return *this;
  }

  net::Request& request() { return request_; }

 private:
  std::string_view keep(std::string_view text) {
    texts_.emplace_back(text);
    return texts_.back();
  }

  std::deque<std::string> texts_;  // never moves them
  net::Request request_;
};

/// All values of a response's header, joined by a line end; empty if there is none.
inline std::string header_of(const net::Response& response, std::string_view name) {
  std::string all;
  const auto take = [&](std::string_view key, std::string_view value) {
    if (key != name) return;
    if (!all.empty()) all += '\n';
    all += value;
  };
  std::string_view fixed = response.fixed_headers;
  while (!fixed.empty()) {
    const auto end = fixed.find("\r\n");
    const auto line = fixed.substr(0, end);
    const auto colon = line.find(": ");
    take(line.substr(0, colon), line.substr(colon + 2));
    fixed.remove_prefix(end + 2);
  }
  for (const auto& [key, value] : response.headers) take(key, value);
  return all;
}

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_TESTING_REQUEST_BUILDER_H_
