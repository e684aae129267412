#include "gateway/receipt_office.h"

#include <algorithm>
#include <utility>

namespace countersign::gateway {

using std::chrono::milliseconds;

ReceiptOffice::ReceiptOffice(ReceiptOptions options, storage::MessageStore& store,
                             MessagePublisher& publisher, TaskQueue& tasks,
                             const base::Clock& clock)
    : store_(store), publisher_(publisher), tasks_(tasks), clock_(clock), desk_(options) {}

ReceiptOffice::~ReceiptOffice() { stop(); }

void ReceiptOffice::start() {
  thread_ = std::thread([this] { follow(); });
}

void ReceiptOffice::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ReceiptOffice::add(std::string_view application, std::span<const storage::Receipt> receipts) {
  if (receipts.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (const storage::Receipt& receipt : receipts) {
      desk_.add(application, receipt, clock_.steady());
    }
  }
  publish_due();
  wake_.notify_all();
}

void ReceiptOffice::add_read(std::string_view application, const storage::Receipt& receipt) {
  {
    const std::lock_guard lock(mutex_);
    desk_.add_read(application, receipt, clock_.steady());
  }
  publish_due();
  wake_.notify_all();
}

void ReceiptOffice::publish_due() {
  DueReceipts due;
  {
    const std::lock_guard lock(mutex_);
    due = desk_.take(clock_.steady());
  }
  for (const ReceiptPublication& publication : due.publications) {
    publisher_.publish(
        {publication.user.application, publication.user.identity, publication.event});
  }
  for (const CountRequest& request : due.counts) {
    if (!tasks_.try_submit([this, request] { count(request); })) {
      const std::lock_guard lock(mutex_);
      desk_.count_failed(request, clock_.steady());
    }
  }
}

void ReceiptOffice::count(const CountRequest& request) {
  const auto counted = store_.count_receipts(request.sender, request.conversation);
  if (!counted) {
    const std::lock_guard lock(mutex_);
    return desk_.count_failed(request, clock_.steady());
  }
  if (!*counted) return;
  const auto publication = ReceiptDesk::count_publication(request.sender.application, **counted);
  publisher_.publish({publication.user.application, publication.user.identity, publication.event});
}

void ReceiptOffice::follow() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = desk_.next_deadline();
    const auto now = clock_.steady();
    if (next && *next <= now) {
      lock.unlock();
      publish_due();
      lock.lock();
      continue;
    }
    // In steps, because the clock may be a test's.
    const auto rest = next ? std::chrono::ceil<milliseconds>(*next - now) : milliseconds(1'000);
    wake_.wait_for(lock, std::min(rest, milliseconds(1'000)));
  }
}

}  // namespace countersign::gateway
