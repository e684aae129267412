// Retention at once, for tests of a whole server: its worker first looks some minutes after it has
// started, and keeps messages for a day at least.
//
//     remove_old STORE MICROSECONDS
//
// Removes what is older than that time of Unix from a store that no server has open; prints how
// many rows went and how many senders' notices there are.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "storage/sqlite/sqlite_store.h"

int main(int argc, char** argv) {
  using namespace countersign;
  if (argc != 3) {
    std::fputs("usage: remove_old STORE MICROSECONDS\n", stderr);
    return 2;
  }
  storage::SqliteOptions options;
  options.path = argv[1];
  const auto store = storage::open_sqlite_store(options);
  if (!store) {
    std::fprintf(stderr, "%s: %s\n", argv[1], store.error().detail.c_str());
    return 1;
  }
  const base::SystemTime before(base::SystemTime::duration(std::stoll(argv[2])));
  std::size_t removed = 0;
  std::size_t notices = 0;
  for (;;) {
    const auto removal = (*store)->messages().remove_old(before, base::SystemClock().now(), 1'000);
    if (!removal) {
      std::fprintf(stderr, "%s\n", removal.error().detail.c_str());
      return 1;
    }
    if (removal->removed == 0) break;
    removed += removal->removed;
    notices += removal->notices.size();
  }
  std::printf("%zu %zu\n", removed, notices);
  return 0;
}
