#include "gateway/classic/classic_context.h"

#include <cassert>
#include <utility>

namespace countersign::gateway::classic {
namespace {

/// Of the newest conversations, whose receipts somebody who comes back is told of.
constexpr std::size_t kConversations = 32;

}  // namespace

ClassicContext::ClassicContext(const ClassicSetup& setup)
    : options(setup.options),
      classic(*setup.store.classic()),
      messages(setup.store.messages()),
      messaging(setup.messaging),
      poller(setup.poller),
      tasks(setup.tasks),
      clock(setup.clock),
      keys(setup.master_key),
      desk(setup.store.sessions(), setup.store.instances(), setup.store.revocations(),
           {setup.options.sessions, setup.options.max_instances_per_user}),
      book({}, desk, setup.clock),
      transports({setup.options.max_recipients, setup.options.keep_unknown}, keys, classic,
                 messages, setup.directory, setup.clock),
      reader({setup.options.page_entries, setup.options.page_bytes}, keys, transports, classic,
             messages, setup.random),
      receipts({setup.options.receipt_patience}),
      openings(setup.options.openings),
      requests(setup.options.requests),
      polls_gauge(setup.metrics.gauge("countersign_classic_polls", "Classic polls that are held.")),
      polled(setup.metrics.counter("countersign_classic_polls_total",
                                   "Classic polls that were answered.")),
      published(setup.metrics.counter("countersign_classic_published_total",
                                      "Classic frames that were taken.")),
      refused(setup.metrics.counter("countersign_classic_refused_total",
                                    "Classic polls and frames that were refused.")) {}

void ClassicContext::open_device(const LiveInstance& instance, bool join,
                                 std::function<void(Result<storage::Attached>)> done) {
  messaging.attach(client(*instance), std::nullopt, join,
                   [this, instance, call = calls.begin(),
                    done = std::move(done)](Result<storage::Attached> attached) {
                     if (!attached) return done(std::move(attached));
                     if (!receipts.knows(instance->id)) {
                       const auto stretch = reader.unreceipted(user(*instance), attached->cursor);
                       if (!stretch) return done(stretch.failure());
                       receipts.open(instance->id, attached->epoch, attached->cursor, *stretch,
                                     clock.steady());
                     }
                     done(std::move(attached));
                   });
}

void ClassicContext::store(const LiveInstance& instance, const CursorMove& move,
                           std::function<void(Result<void>)> done) {
  messaging.acknowledge(client(*instance), move.epoch, move.offset,
                        [this, instance, call = calls.begin(),
                         done = std::move(done)](const Result<std::int64_t>& cursor) {
                          if (cursor) return done({});
                          receipts.forget(instance->id);
                          done(cursor.failure());
                        });
}

Result<void> ClassicContext::note_horizons(const storage::UserKey& user) {
  const auto page =
      messages.list_conversations(user, storage::SystemTime::max(), {}, kConversations);
  if (!page) return page.failure();
  std::vector<storage::ClassicHorizon> horizons;
  for (const storage::Conversation& conversation : *page) {
    if (!conversation.member) continue;
    for (const storage::Horizon& horizon : conversation.members) {
      if (horizon.member == user.identity || horizon.delivered == 0) continue;
      horizons.push_back({conversation.id, horizon.member, horizon.delivered});
    }
  }
  const auto noted = classic.note_horizons(user, horizons, clock.now());
  if (!noted) return noted.failure();
  return {};
}

ErrorCode plane_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kAbsent:
    case ErrorCode::kRevoked:
    case ErrorCode::kInstanceExpired:
      return ErrorCode::kUnauthorized;
    default:
      return code;
  }
}

}  // namespace countersign::gateway::classic
