// Runs a fuzz target over its corpus as an ordinary test: each file once, then each file cut short
// at every length and with single bytes changed, which costs nothing and finds the plainest faults.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// Small changes are made at this many places of a file, evenly spread.
constexpr std::size_t kPlaces = 256;

void run_with_neighbours(const std::string& input) {
  run(input);
  const std::size_t step = input.size() / kPlaces + 1;
  for (std::size_t place = 0; place < input.size(); place += step) {
    run(input.substr(0, place));
    for (const unsigned change : {0x01U, 0x20U, 0x80U}) {
      std::string changed = input;
      changed[place] = static_cast<char>(static_cast<unsigned char>(changed[place]) ^ change);
      run(changed);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  std::size_t files = 0;
  run("");
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    std::printf("%s\n", entry.path().filename().c_str());
    std::fflush(stdout);  // so that the last name printed is the file that crashed
    run_with_neighbours(input);
    ++files;
  }
  if (files == 0) {
    std::fprintf(stderr, "%s holds no file\n", argv[1]);
    return 1;
  }
  std::printf("%zu files\n", files);
  return 0;
}
