// The audience cache: who belongs to a conversation, remembered for a moment, so that typing and
// messages to a known conversation need not ask the store each time.
//
// A list may be as old as `life`. A group's is good enough for typing and is not used for anything
// else. A direct conversation changes its members only when somebody's data are erased.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_GATEWAY_AUDIENCE_CACHE_H_
#define COUNTERSIGN_GATEWAY_AUDIENCE_CACHE_H_

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "countersign/identity.h"

#include "base/clock.h"

namespace countersign::gateway {

/// All members, the asker too.
using Audience = std::shared_ptr<const std::vector<Identity>>;

class AudienceCache {
 public:
  struct Options {
    std::size_t conversations = 4'096;
    std::chrono::milliseconds life{10'000};
  };

  explicit AudienceCache(Options options) : options_(options) {}

  /// Null if it is not known any more.
  Audience find(std::string_view application, std::string_view conversation, base::SteadyTime now);
  /// The conversation that has gone unused for longest is forgotten if there is no room.
  void put(std::string_view application, std::string_view conversation, Audience audience,
           base::SteadyTime now);

 private:
  struct Row {
    std::string key;
    Audience audience;
    base::SteadyTime until;
  };

  static std::string key_of(std::string_view application, std::string_view conversation);

  const Options options_;
  std::mutex mutex_;
  std::list<Row> rows_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Row>::iterator> by_key_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_AUDIENCE_CACHE_H_
