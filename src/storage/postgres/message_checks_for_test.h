// What must hold between the tables of messages in PostgreSQL, which have no foreign keys.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_CHECKS_FOR_TEST_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_CHECKS_FOR_TEST_H_

#include <string>

namespace countersign::storage::postgres {

/// What does not add up in the database at `url`: a line for each kind of fault. Empty: it is
/// sound.
std::string faults_of_tables(const std::string& url);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_CHECKS_FOR_TEST_H_
