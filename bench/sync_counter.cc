// Counts syncs: preloaded into servers by bench/rigs.py, it counts their calls of fsync and
// fdatasync, failed ones too, in the file SYNC_COUNTER, a number that all processes share.
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using Counter = std::atomic<std::uint64_t>;

Counter* counter() {
  static Counter* const shared = [] {
    const char* path = std::getenv("SYNC_COUNTER");
    const int file = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    void* memory =
        file < 0 ? MAP_FAILED
                 : ::mmap(nullptr, sizeof(Counter), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) std::abort();  // a count of nothing would look like a good figure
    ::close(file);
    return static_cast<Counter*>(memory);
  }();
  return shared;
}

using Sync = int (*)(int);

Sync next(const char* name) { return reinterpret_cast<Sync>(::dlsym(RTLD_NEXT, name)); }

}  // namespace

extern "C" __attribute__((visibility("default"))) int fsync(int file) {
  static const Sync real = next("fsync");
  counter()->fetch_add(1);
  return real(file);
}

extern "C" __attribute__((visibility("default"))) int fdatasync(int file) {
  static const Sync real = next("fdatasync");
  counter()->fetch_add(1);
  return real(file);
}
