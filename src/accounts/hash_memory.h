// HashMemory: lets a thread that hashes again and again keep the memory of argon2id.
//
// libsodium maps fresh memory for each hash and returns it afterwards. At 19 MiB that is half of a
// hash's time, spent in the kernel clearing pages, and each return stalls the process's other
// threads on other processors. While a HashMemory lives, the mappings that libsodium asks for on
// this thread are served from one that stays (docs/decisions/0006-kept-hash-memory.md). What an
// earlier hash left in it is no input of the next: argon2id writes every block before it reads it
// (RFC 9106 section 3.4).
// Thread-safety: serves the thread that made it, and only that one may use it. One at a time a
// thread.
#ifndef COUNTERSIGN_ACCOUNTS_HASH_MEMORY_H_
#define COUNTERSIGN_ACCOUNTS_HASH_MEMORY_H_

#include <cstddef>

namespace countersign::accounts {

class HashMemory {
 public:
  HashMemory();
  ~HashMemory();
  HashMemory(const HashMemory&) = delete;
  HashMemory& operator=(const HashMemory&) = delete;

  /// Gives what is kept back to the system; the next hash maps anew. Not while a hash runs.
  void release();
  /// Bytes that are kept.
  std::size_t size() const { return size_; }

  /// A mapping of `size` bytes from what is kept, which grows to it; null if it is in use, if
  /// `size` is not worth keeping, or if the system has no memory.
  void* take(std::size_t size);
  /// True if `memory` came from here; it may be taken again.
  bool give_back(const void* memory);

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  bool in_use_ = false;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_HASH_MEMORY_H_
