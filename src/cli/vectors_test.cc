// Runs each interop vector under each policy as a test of its own.
#include "cli/vectors.h"

#include <algorithm>
#include <cctype>

#include <gtest/gtest.h>

namespace countersign::cli {
namespace {

const VectorFile& vectors() {
  static const Result<VectorFile> file =
      VectorFile::load(COUNTERSIGN_SOURCE_DIR "/tests/interop/vectors/tickets.json");
  if (!file) throw std::runtime_error(file.error().detail);
  return *file;
}

class InteropVector : public testing::TestWithParam<VectorFile::Case> {};

TEST_P(InteropVector, GivesItsVerdictAndReason) {
  const std::optional<std::string> why = vectors().run(GetParam());
  EXPECT_FALSE(why.has_value()) << *why;
}

std::string name_of(const testing::TestParamInfo<VectorFile::Case>& info) {
  std::string name = info.param.id + "_" + info.param.policy;
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Tickets, InteropVector, testing::ValuesIn(vectors().cases()), name_of);

}  // namespace
}  // namespace countersign::cli
