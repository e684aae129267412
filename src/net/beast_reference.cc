#include "net/beast_reference.h"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/_experimental/test/stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/websocket.hpp>

#include "net/text.h"

namespace countersign::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

class RecordingParser final : public http::basic_parser<true> {
 public:
  explicit RecordingParser(BeastRequest& out) : out_(out) {
    eager(true);
    header_limit(1 << 20);
    body_limit(boost::none);
  }

 private:
  using string_view = boost::beast::string_view;

  void on_request_impl(http::verb, string_view method, string_view target, int,
                       error_code&) override {
    out_.method = std::string(method);
    out_.target = std::string(target);
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    if (in_body_) return;  // a trailer
    std::string lower(name);
    for (auto& c : lower) c = to_lower(c);
    out_.fields.emplace_back(std::move(lower), std::string(value));
  }
  void on_header_impl(error_code&) override {
    in_body_ = true;
    out_.keep_alive = keep_alive();  // now: Beast would let a trailer change it
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override {
    out_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    out_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  BeastRequest& out_;
  bool in_body_ = false;
};

}  // namespace

BeastRequest read_request_with_beast(std::string_view bytes) {
  BeastRequest out;
  RecordingParser parser(out);
  error_code error;
  out.used = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error && error != http::error::need_more) {
    out.failed = true;
    out.error = error.message();
  } else {
    out.complete = parser.is_done();
  }
  return out;
}

BeastFrames read_frames_with_beast(std::string_view bytes, std::size_t max_message_bytes) {
  static constexpr std::string_view kHandshake =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  BeastFrames out;
  boost::asio::io_context context;
  beast::test::stream far_end(context);
  websocket::stream<beast::test::stream> stream(context);
  stream.next_layer().connect(far_end);
  stream.read_message_max(max_message_bytes);
  stream.control_callback([&](websocket::frame_type kind, boost::beast::string_view payload) {
    if (kind == websocket::frame_type::ping) out.events.push_back("ping:" + std::string(payload));
    if (kind == websocket::frame_type::pong) out.events.push_back("pong:" + std::string(payload));
  });
  stream.next_layer().append(kHandshake);
  error_code error;
  stream.accept(error);
  stream.next_layer().append(boost::beast::string_view(bytes.data(), bytes.size()));
  far_end.close();
  for (;;) {
    beast::flat_buffer buffer;
    stream.read(buffer, error);
    if (error == websocket::error::closed) {
      const unsigned code = stream.reason().code;
      out.events.push_back("close:" + std::to_string(code == 0 ? 1005 : code));
      return out;
    }
    if (error) {
      // Beast reports the end of the stream, or the end in the middle of a frame, as these.
      out.failed = error != boost::asio::error::eof && error != http::error::end_of_stream &&
                   error != http::error::partial_message &&
                   error != boost::asio::error::broken_pipe &&
                   error != boost::asio::error::connection_reset;
      return out;
    }
    if (stream.got_binary()) {
      out.binary = true;
      return out;
    }
    out.events.push_back("text:" + beast::buffers_to_string(buffer.data()));
  }
}

}  // namespace countersign::net
