// HeldAnswer: an answer that comes later, for clients that wait for news (long polls).
//
// A handler that returns a Response with `held` set has not answered yet. The connection gives up
// all memory of the request and waits, as cheaply as between two requests, until there is an
// answer, the time is over, the server drains, or the client is gone.
// Thread-safety: none; everything happens on the connection's shard.
#ifndef COUNTERSIGN_NET_HELD_ANSWER_H_
#define COUNTERSIGN_NET_HELD_ANSWER_H_

#include <chrono>

#include "net/http_message.h"

namespace countersign::net {

/// Where the answer goes.
class AnswerSink {
 public:
  /// Answers. The first call counts; the sink may be gone once the shard's loop goes on.
  virtual void answer(Response response) = 0;

 protected:
  ~AnswerSink() = default;
};

class HeldAnswer {
 public:
  /// Answered, or the client is gone: the sink must not be called any more.
  virtual ~HeldAnswer() = default;

  /// How long the client is kept waiting.
  virtual std::chrono::milliseconds limit() const = 0;
  /// The wait begins. May answer at once. `sink` is there until this is destroyed.
  virtual void begin(AnswerSink& sink) = 0;
  /// The time is over, or the server drains: the answer that is given now.
  virtual Response give_up() = 0;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_HELD_ANSWER_H_
