// Checks of a message store in SQLite that need to look into its file.
#ifndef COUNTERSIGN_STORAGE_SQLITE_MESSAGE_CHECKS_FOR_TEST_H_
#define COUNTERSIGN_STORAGE_SQLITE_MESSAGE_CHECKS_FOR_TEST_H_

#include <string>

namespace countersign::storage {

/// Rows that refer to nothing and counts that are wrong, a line for each; empty: all is sound.
std::string faults_of_tables(const std::string& path, const std::string& vfs = "");

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_MESSAGE_CHECKS_FOR_TEST_H_
