#include "accounts/hash_memory.h"

#include <sys/mman.h>
#include <sys/types.h>

// The linker sends our calls of mmap and munmap, and those of the static libsodium, to __wrap_…,
// and __real_… to the system's (ld(1), --wrap). Libraries that are loaded keep the system's.
// NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the linker's names.
extern "C" {
void* __real_mmap(void* address, std::size_t size, int protection, int flags, int file,
                  off_t offset);
int __real_munmap(void* address, std::size_t size);
void* __wrap_mmap(void* address, std::size_t size, int protection, int flags, int file,
                  off_t offset);
int __wrap_munmap(void* address, std::size_t size);
}
// NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming)

namespace countersign::accounts {
namespace {

/// Less is cheap to map, and not the work memory of a hash that we allow.
constexpr std::size_t kMinKeptBytes = 1024 * 1024;
/// More is of an imported hash, which the next sign-in replaces.
constexpr std::size_t kMaxKeptBytes = 256 * 1024 * 1024;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

thread_local HashMemory* of_this_thread = nullptr;

}  // namespace

HashMemory::HashMemory() { of_this_thread = this; }

HashMemory::~HashMemory() {
  of_this_thread = nullptr;
  release();
}

void HashMemory::release() {
  if (memory_ != nullptr) __real_munmap(memory_, size_);
  memory_ = nullptr;
  size_ = 0;
}

void* HashMemory::take(std::size_t size) {
  if (in_use_ || size < kMinKeptBytes || size > kMaxKeptBytes) return nullptr;
  if (size_ < size) {
    release();
    void* const fresh = __real_mmap(nullptr, size, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) return nullptr;
    madvise(fresh, size, MADV_HUGEPAGE);  // fewer misses of the TLB, where the system allows it
    memory_ = fresh;
    size_ = size;
  }
  in_use_ = true;
  return memory_;
}

bool HashMemory::give_back(const void* memory) {
  if (!in_use_ || memory != memory_) return false;
  in_use_ = false;
  return true;
}

}  // namespace countersign::accounts

void* __wrap_mmap(void* address, std::size_t size, int protection, int flags, int file,
                  off_t offset) {
  using namespace countersign::accounts;
  const bool plain = address == nullptr && file == -1 && (flags & MAP_ANONYMOUS) != 0 &&
                     (flags & MAP_PRIVATE) != 0 && protection == kReadWrite;
  if (plain && of_this_thread != nullptr) {
    if (void* const kept = of_this_thread->take(size)) return kept;
  }
  return __real_mmap(address, size, protection, flags, file, offset);
}

int __wrap_munmap(void* address, std::size_t size) {
  using namespace countersign::accounts;
  if (of_this_thread != nullptr && of_this_thread->give_back(address)) return 0;
  return __real_munmap(address, size);
}
