// The callback desk: what the team's own backend is told, in which words, and what becomes of a
// callback after an attempt. Pure: it takes records and the present and returns texts and verdicts.
//
// An attempt ends in one of three ways. 2xx: the backend has taken it. 410, or another 4xx that
// another attempt cannot change (not 408, 425, 429): it goes to the dead letters at once. Anything
// else, a connection that failed included: once more after a pause that doubles from 1 s to 1 h,
// with jitter, or as long as Retry-After asks for; until it is 7 days old, and then it is dead.
// Thread-safety: pure functions. Source: docs/guides/callbacks.md.
#ifndef COUNTERSIGN_GATEWAY_CALLBACK_DESK_H_
#define COUNTERSIGN_GATEWAY_CALLBACK_DESK_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/callback_store.h"

namespace countersign::gateway {

struct CallbackRules {
  std::chrono::milliseconds first_pause{1'000};
  std::chrono::milliseconds longest_pause{3'600'000};
  std::chrono::hours give_up_after{24 * 7};  ///< counted from what it tells about
};

/// What came of posting a callback.
struct CallbackAnswer {
  int status = 0;       ///< of HTTP; 0: there was no answer
  std::string failure;  ///< why not, a fixed word: `timeout`, `address_denied`, …
  std::optional<std::chrono::seconds> retry_after;
  bool hopeless = false;  ///< it could not be posted, and never can
};

/// What becomes of it.
struct CallbackVerdict {
  enum class Kind : std::uint8_t { kTaken, kRetry, kDead };
  Kind kind = Kind::kTaken;
  base::SystemTime next;  ///< for kRetry
  std::string error;      ///< for the others: the status or the word
};

/// @param jitter  0 to 65535: where in the second half of the pause the next attempt lies.
CallbackVerdict judge_callback(const storage::Callback& callback, const CallbackAnswer& answer,
                               const CallbackRules& rules, base::SystemTime now,
                               std::uint32_t jitter);

/// The event's name on the wire: `message.sent`, …
std::string_view callback_event(storage::CallbackKind kind);

/// What a callback about a message says besides its row.
struct CallbackMessage {
  std::string body;   ///< as storage::Message::body; empty if it is gone
  bool gone = false;  ///< expired or erased meanwhile
  bool group = false;
  std::vector<Identity> to;  ///< the other members of a conversation of people
};

/// The request's body: a JSON object, the same for every attempt unless the message has gone.
/// @param message  for kMessageSent.
std::string encode_callback(const storage::Callback& callback,
                            const std::optional<CallbackMessage>& message);

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_CALLBACK_DESK_H_
