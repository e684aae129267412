#include "net/request_reading.h"

#include <algorithm>

#include "net/beast_reference.h"

namespace countersign::net {

RequestReading read_request(std::string_view bytes, const std::vector<std::size_t>& pieces,
                            std::size_t max_header_bytes, std::size_t max_body_bytes) {
  using Progress = RequestParser::Progress;
  RequestReading out;
  RequestParser parser(max_header_bytes);
  Request request;
  std::string input;  // what has arrived, as a session would keep it
  std::size_t arrived = 0;
  std::size_t body_from = 0;
  bool in_body = false;
  for (std::size_t turn = 0; out.progress == Progress::kMore && arrived < bytes.size(); ++turn) {
    const std::size_t piece = pieces.empty() ? bytes.size() : pieces[turn % pieces.size()];
    const auto next = bytes.substr(arrived, piece);
    arrived += next.size();
    input += next;
    if (!in_body) {
      out.progress = parser.parse_head(input, request);
      if (out.progress != Progress::kDone) continue;
      out.method = request.method;
      out.target = request.target;
      out.path = request.path;
      out.query = request.query;
      for (const auto& field : request.fields) out.fields.emplace_back(field.name, field.value);
      out.keep_alive = parser.keep_alive();
      out.chunked = parser.chunked();
      body_from = parser.head_size();
      in_body = true;
      if (!parser.has_body()) break;
    }
    std::size_t consumed = 0;
    out.progress = parser.parse_body(std::string_view(input).substr(body_from), max_body_bytes,
                                     out.body, consumed);
    body_from += consumed;
  }
  if (out.progress == Progress::kFailed) {
    // How far a failed request was read depends on the pieces; only the verdict must not.
    RequestReading failed;
    failed.progress = Progress::kFailed;
    failed.error = parser.error();
    return failed;
  }
  if (out.progress == Progress::kDone) out.used = body_from;
  return out;
}

std::string disagreement_with_beast(std::string_view bytes, const RequestReading& ours) {
  if (ours.progress != RequestParser::Progress::kDone) return "";
  std::size_t skipped = 0;  // Beast knows no empty lines before the request
  while (bytes.substr(skipped).starts_with("\r\n")) skipped += 2;
  const auto beast = read_request_with_beast(bytes.substr(skipped));
  // Proxy-Connection means nothing to us; Beast reads it like Connection.
  const bool proxy_field = std::any_of(ours.fields.begin(), ours.fields.end(),
                                       [](const auto& f) { return f.first == "proxy-connection"; });
  if (!beast.complete) {
    if (proxy_field) return "";
    // Extensions and trailers are dropped here but judged by Beast. Without trailers the last line
    // but one is the zero of the last chunk.
    const auto body = bytes.substr(0, ours.used - std::min<std::size_t>(ours.used, 4));
    const auto last_line = body.substr(body.rfind('\n') + 1);
    const bool decorated = ours.chunked && (body.find(';') != body.npos ||
                                            last_line.find_first_not_of('0') != body.npos);
    if (decorated) return "";
    return "Beast refuses it: " + beast.error;
  }
  if (beast.used + skipped != ours.used) return "length";
  if (beast.method != ours.method) return "method";
  const bool absolute = !beast.target.starts_with('/') && beast.target != "*";
  if (absolute ? !beast.target.ends_with(ours.target) : beast.target != ours.target) {
    return "target";
  }
  if (beast.fields != ours.fields) return "fields";
  if (beast.body != ours.body) return "body";
  if (!proxy_field && beast.keep_alive != ours.keep_alive) return "keep-alive";
  return "";
}

}  // namespace countersign::net
