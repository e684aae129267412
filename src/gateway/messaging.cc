#include "gateway/messaging.h"

#include <utility>
#include <variant>

namespace countersign::gateway {

Messaging::Messaging(const MessagingSetup& setup, storage::MessageStore& store, Hub& hub,
                     TaskQueue& tasks, const base::Clock& clock, base::Random& random,
                     base::Metrics& metrics)
    : options_(setup.options),
      store_(store),
      bus_(setup.bus),
      hub_(hub),
      tasks_(tasks),
      clock_(clock),
      pushed_(metrics.counter("countersign_inbox_pushed_total", "Entries pushed to clients.")),
      pages_(metrics.counter("countersign_inbox_pages_total", "Stretches of inboxes read.")),
      attached_(metrics.counter("countersign_inbox_attached_total",
                                "Times that a device asked where it stands.")),
      acks_(metrics.counter("countersign_inbox_acks_total", "Acknowledgements stored.")),
      mailroom_metrics_(metrics),
      publisher_(bus_, metrics),
      audiences_(options_.audiences),
      receipts_(options_.receipts, store, publisher_, tasks, clock),
      desk_(options_.desk, store, publisher_, audiences_, tasks, clock, random, metrics,
            setup.directory, setup.master_key),
      conversations_(options_.conversations, store, audiences_, publisher_, receipts_, clock),
      presence_(options_.presence_mode, options_.presence, store, bus_, publisher_, clock, random),
      worker_(options_.worker, store, *this, clock, metrics) {
  desk_.on_fan_out([this] { worker_.wake(); });
  for (std::size_t i = 0; i < hub.shard_count(); ++i) {
    mailrooms_.push_back(
        std::make_unique<Mailroom>(options_.mailroom, bus_, store, tasks, mailroom_metrics_));
  }
  bus_.on_gap([this] {
    hub_.on_shards([this](std::size_t shard) { mailrooms_[shard]->on_gap(); });
    presence_.on_gap();
  });
}

Messaging::~Messaging() {
  bus_.on_gap(nullptr);
  stop();
}

void Messaging::start() {
  receipts_.start();
  presence_.start();
  worker_.start();
}

void Messaging::stop() {
  bus_.on_gap(nullptr);
  worker_.stop();
  receipts_.stop();
  presence_.stop();
  calls_.wait();
}

void Messaging::tick() {
  const base::SteadyTime now = clock_.steady();
  hub_.on_shards([this, now](std::size_t shard) { mailrooms_[shard]->sweep(now); });
  presence_.tick();
}

void Messaging::attach(Client client, std::optional<protocol::ClientPosition> resume, bool join,
                       std::function<void(Result<storage::Attached>)> done) {
  auto work = [this, call = calls_.begin(), client = std::move(client), resume = std::move(resume),
               done = std::move(done)] {
    const bool submitted =
        tasks_.try_submit([this, call, client, resume, done] { attach_now(client, resume, done); });
    if (!submitted) done(fail(ErrorCode::kOverloaded, "workers are busy"));
  };
  if (!join) return work();
  // Without a bus there is nothing to wait for: the sweep finds what it would have said.
  bus_.flush([work = std::move(work)](const Result<void>&) { work(); });
}

void Messaging::attach_now(const Client& client,
                           const std::optional<protocol::ClientPosition>& resume,
                           const std::function<void(Result<storage::Attached>)>& done) {
  storage::Attach attach;
  attach.user = client.user;
  attach.device = client.device;
  if (resume) attach.resume = storage::Position{resume->epoch, resume->offset, resume->chain};
  attach.now = clock_.now();
  attach.max_devices = options_.max_devices_per_user;
  attached_.add();
  auto attached = store_.attach(attach);
  if (attached) desk_.note_epoch(attached->epoch);
  done(std::move(attached));
}

void Messaging::read(storage::UserKey user, std::int64_t after, std::size_t max_entries,
                     std::size_t max_bytes, std::function<void(Result<storage::InboxPage>)> done) {
  const bool submitted = tasks_.try_submit(
      [this, call = calls_.begin(), user = std::move(user), after, max_entries, max_bytes, done] {
        pages_.add();
        auto page = store_.read_inbox(user, after, max_entries, max_bytes);
        if (page) desk_.note_epoch(page->epoch);
        done(std::move(page));
      });
  if (!submitted) done(fail(ErrorCode::kOverloaded, "workers are busy"));
}

void Messaging::acknowledge(Client client, std::string epoch, std::int64_t offset,
                            std::function<void(Result<std::int64_t>)> done) {
  acks_.add();
  std::string application = client.user.application;
  storage::Ack ack{std::move(client.user), std::move(client.device), std::move(epoch), offset,
                   clock_.now()};
  store_.acknowledge(std::move(ack),
                     [this, call = calls_.begin(), application = std::move(application),
                      done = std::move(done)](Result<storage::Acked> acked) {
                       if (!acked) return done(acked.failure());
                       done(acked->cursor);
                       receipts_.add(application, acked->receipts);
                     });
}

void Messaging::ask(Client client, ConnectionId connection, std::uint32_t id,
                    MessagingRequest request, Reply reply) {
  Reply counted = [call = calls_.begin(), reply = std::move(reply)](Result<std::string> frame) {
    reply(std::move(frame));
  };
  if (auto* send = std::get_if<protocol::Send>(&request)) {
    return desk_.send(client, id, std::move(*send), std::move(counted));
  }
  if (auto* change = std::get_if<protocol::ChangeGroup>(&request)) {
    return desk_.change_group(client, id, std::move(*change), std::move(counted));
  }
  if (const auto* set = std::get_if<protocol::SetPresence>(&request)) {
    return counted(presence_.set(connection, id, *set));
  }
  const bool submitted = tasks_.try_submit(
      [this, client = std::move(client), connection, id, request = std::move(request), counted] {
        if (const auto* watch = std::get_if<protocol::WatchPresence>(&request)) {
          return presence_.watch(connection, client.user, id, *watch, counted);
        }
        counted(conversations_.answer(client, id, request));
      });
  if (!submitted) counted(fail(ErrorCode::kOverloaded, "workers are busy"));
}

void Messaging::on_fan_out(const storage::FanOut& entries) {
  publisher_.entries(entries.application, entries.message, {}, {}, entries.deliveries);
}

void Messaging::on_expired(const storage::Expired& expired) {
  publisher_.hint(expired.sender.application, {&expired.sender.identity, 1});
}

}  // namespace countersign::gateway
