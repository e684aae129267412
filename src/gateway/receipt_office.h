// The receipt office: the receipt desk with a lock, a thread and the bus. Whoever has committed an
// acknowledgement hands its receipts in; what is due at once is published on the spot, the rest a
// second later.
// Thread-safety: add() and add_read() from any thread; start() and stop() from one.
#ifndef COUNTERSIGN_GATEWAY_RECEIPT_OFFICE_H_
#define COUNTERSIGN_GATEWAY_RECEIPT_OFFICE_H_

#include <condition_variable>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "gateway/message_publisher.h"
#include "gateway/receipt_desk.h"
#include "gateway/task_queue.h"
#include "storage/message_store.h"

namespace countersign::gateway {

class ReceiptOffice {
 public:
  /// References outlive the office.
  ReceiptOffice(ReceiptOptions options, storage::MessageStore& store, MessagePublisher& publisher,
                TaskQueue& tasks, const base::Clock& clock);
  ~ReceiptOffice();
  ReceiptOffice(const ReceiptOffice&) = delete;
  ReceiptOffice& operator=(const ReceiptOffice&) = delete;

  void start();
  /// Idempotent. What waits is not published any more.
  void stop();

  /// Receipts that are committed. Quick; does not wait for the store.
  void add(std::string_view application, std::span<const storage::Receipt> receipts);
  /// One of which the reader's other devices hear too.
  void add_read(std::string_view application, const storage::Receipt& receipt);
  /// Publishes what is due. The thread of start() calls it; tests may instead.
  void publish_due();

 private:
  void count(const CountRequest& request);
  void follow();

  storage::MessageStore& store_;
  MessagePublisher& publisher_;
  TaskQueue& tasks_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  ReceiptDesk desk_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_RECEIPT_OFFICE_H_
