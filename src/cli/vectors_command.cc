#include "cli/vectors_command.h"

#include "cli/vectors.h"

namespace countersign::cli {

int run_vectors(const std::string& path, std::ostream& out, std::ostream& err) {
  const Result<VectorFile> file = VectorFile::load(path);
  if (!file) {
    err << "countersign vectors: " << file.error().detail << '\n';
    return 3;
  }
  std::size_t failed = 0;
  for (const VectorFile::Case& which : file->cases()) {
    if (const std::optional<std::string> why = file->run(which)) {
      out << "FAILED " << which.id << " (" << which.policy << "): " << *why << '\n';
      ++failed;
    }
  }
  out << file->cases().size() - failed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}

}  // namespace countersign::cli
