// What api/openapi.yaml describes, for the tests that hold the tables of routes against it.
//
// Thread-safety: a pure function of the file.
#ifndef COUNTERSIGN_WEB_TESTING_OPENAPI_OPERATIONS_H_
#define COUNTERSIGN_WEB_TESTING_OPENAPI_OPERATIONS_H_

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <string>

namespace countersign::web {

struct DescribedOperations {
  std::set<std::string> site;     ///< `METHOD path`
  std::set<std::string> classic;  ///< those with the tag `classic`
};

/// Every operation: in the file paths stand two columns in, methods four, their tags six.
inline DescribedOperations described_operations() {
  std::ifstream file(std::string(COUNTERSIGN_SOURCE_DIR) + "/api/openapi.yaml");
  DescribedOperations described;
  std::string path;
  std::string operation;
  for (std::string line; std::getline(file, line) && line != "components:";) {
    if (line.starts_with("  /")) {
      path = line.substr(2, line.size() - 3);
    } else if (line.starts_with("      tags: ")) {
      (line.ends_with("[classic]") ? described.classic : described.site).insert(operation);
    } else if (!path.empty() && line.starts_with("    ") && line[4] != ' ') {
      operation = line.substr(4, line.find(':') - 4);
      std::transform(operation.begin(), operation.end(), operation.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      operation += ' ' + path;
    }
  }
  return described;
}

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_TESTING_OPENAPI_OPERATIONS_H_
