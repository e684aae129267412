// Runs a fuzz target over its corpus as an ordinary test: each file as it is, then cut short and
// with single bits changed at places all over it, which costs little and finds the plainest faults.
// A fault ends the program, as it does under the fuzzer; the last test that was started names the
// file.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// Small changes are made at about this many places of a file, evenly spread.
constexpr std::size_t kPlaces = 256;

std::vector<std::filesystem::path> corpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(COUNTERSIGN_CORPUS)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Corpus : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Corpus, SeedAndItsNeighboursKeepTheProperty) {
  std::ifstream file(GetParam(), std::ios::binary);
  const std::string seed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  run(seed);
  const std::size_t step = seed.size() / kPlaces + 1;
  for (std::size_t place = 0; place < seed.size(); place += step) {
    run(seed.substr(0, place));
    for (const unsigned bit : {0x01U, 0x20U, 0x80U}) {
      std::string changed = seed;
      changed[place] = static_cast<char>(static_cast<unsigned char>(changed[place]) ^ bit);
      run(changed);
    }
  }
}

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.filename();
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Seeds, Corpus, testing::ValuesIn(corpus()), name_of);

}  // namespace
