// Yardstick of sign-in: bare argon2id (libsodium, 19 MiB, 2 passes) on N threads.
//
//   argon2_bench THREADS SECONDS      prints {"hashes_per_second":…}
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <sodium.h>

int main(int argc, char** argv) {
  if (argc != 3 || sodium_init() < 0) {
    std::fprintf(stderr, "usage: argon2_bench THREADS SECONDS\n");
    return 2;
  }
  const auto threads = std::strtoul(argv[1], nullptr, 10);
  const std::chrono::duration<double> time(std::strtod(argv[2], nullptr));
  std::array<char, crypto_pwhash_STRBYTES> stored{};
  const char password[] = "correct horse battery staple";
  if (crypto_pwhash_str_alg(stored.data(), password, sizeof password - 1, 2, 19u << 20,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return 1;
  }
  std::atomic<unsigned long> done{0};
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> pool;
  for (unsigned long i = 0; i < threads; ++i) {
    pool.emplace_back([&] {
      while (std::chrono::steady_clock::now() - start < time) {
        if (crypto_pwhash_str_verify(stored.data(), password, sizeof password - 1) != 0)
          std::abort();
        ++done;
      }
    });
  }
  for (auto& thread : pool) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("{\"hashes_per_second\":%.2f}\n", static_cast<double>(done) / took.count());
  return 0;
}
