// Interop vectors: what other people's producers wrote and what a verifier has to say to it. Loads
// a file of the form that tests/interop/vectors/README.md describes and runs single cases, for the
// command `vectors` and for the test that runs each vector as its own test.
// Thread-safety: run() is const and may run concurrently.
#ifndef COUNTERSIGN_CLI_VECTORS_H_
#define COUNTERSIGN_CLI_VECTORS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

namespace countersign::cli {

class VectorFile {
 public:
  /// A vector under one policy: what is counted.
  struct Case {
    std::size_t vector;  ///< index in the file
    std::string id;
    std::string policy;
  };

  /// Reads and checks a whole file.
  /// @return kUnreadableFile with the reason: no file, no JSON, another schema, a missing member.
  static Result<VectorFile> load(const std::string& path);
  /// The same for text in memory.
  static Result<VectorFile> parse(std::string_view text);

  VectorFile(VectorFile&&) noexcept;
  VectorFile& operator=(VectorFile&&) noexcept;
  ~VectorFile();

  const std::vector<Case>& cases() const noexcept;
  /// @return nothing if the case passes, else one line that says what was expected and what came.
  std::optional<std::string> run(const Case& which) const;

 private:
  struct State;
  explicit VectorFile(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_VECTORS_H_
