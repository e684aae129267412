// Workspace: the memory one HTTP request needs while it is served. A shard keeps a few and lends
// them to connections that have a request at hand, so that idle connections own none.
// Thread-safety: none; workspaces live on one shard.
#ifndef COUNTERSIGN_NET_WORKSPACE_H_
#define COUNTERSIGN_NET_WORKSPACE_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.h"
#include "net/request_parser.h"

namespace countersign::net {

/// Bytes in one piece: appended behind, removed in front. Appending may move them.
class InputBuffer {
 public:
  std::span<char> data() { return std::span(bytes_).subspan(begin_, end_ - begin_); }
  bool empty() const { return begin_ == end_; }
  std::size_t capacity() const { return bytes_.size(); }

  /// Room for at least one byte more.
  std::span<char> prepare() {
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == bytes_.size()) {
      if (begin_ > 0) {
        std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
      } else {
        bytes_.resize(bytes_.empty() ? kFirstBytes : 2 * bytes_.size());
      }
    }
    return std::span(bytes_).subspan(end_);
  }
  void commit(std::size_t count) { end_ += count; }
  void consume(std::size_t count) { begin_ += count; }
  void append(std::string_view text) {
    while (!text.empty()) {
      const auto room = prepare();
      const auto take = std::min(room.size(), text.size());
      std::memcpy(room.data(), text.data(), take);
      commit(take);
      text.remove_prefix(take);
    }
  }

 private:
  static constexpr std::size_t kFirstBytes = 4096;

  std::vector<char> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct Workspace {
  explicit Workspace(std::size_t max_header_bytes) : parser(max_header_bytes) {}

  InputBuffer input;  ///< from the present request's first byte on
  RequestParser parser;
  Request request;
  std::string body;
  std::string
      pipelined;  ///< bytes after a body, which must wait until the head's views are done with
  std::string output;

  bool holds_input() const { return !input.empty() || !pipelined.empty(); }
};

/// Up to kKept unused workspaces.
class WorkspacePool {
 public:
  explicit WorkspacePool(std::size_t max_header_bytes) : max_header_bytes_(max_header_bytes) {}

  std::unique_ptr<Workspace> take() {
    if (free_.empty()) return std::make_unique<Workspace>(max_header_bytes_);
    auto workspace = std::move(free_.back());
    free_.pop_back();
    return workspace;
  }
  /// Takes back a workspace; its input is forgotten. Those that grew large are not kept.
  void give_back(std::unique_ptr<Workspace> workspace) {
    const bool large = workspace->input.capacity() + workspace->body.capacity() +
                           workspace->output.capacity() + workspace->pipelined.capacity() >
                       kMaxKeptBytes;
    if (large || free_.size() == kKept) return;
    workspace->input.consume(workspace->input.data().size());
    workspace->pipelined.clear();
    workspace->body.clear();
    workspace->parser.reset();
    free_.push_back(std::move(workspace));
  }

 private:
  static constexpr std::size_t kKept = 64;
  static constexpr std::size_t kMaxKeptBytes = 64 * 1024;

  const std::size_t max_header_bytes_;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_WORKSPACE_H_
