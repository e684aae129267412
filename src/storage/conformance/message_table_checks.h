// What must be so between the tables of a message store, as SQL that SQLite and PostgreSQL both
// read: each statement counts what is wrong. Thread-safety: a constant.
#ifndef COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_TABLE_CHECKS_H_
#define COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_TABLE_CHECKS_H_

#include <span>

namespace countersign::storage {

struct TableCheck {
  const char* what;
  const char* sql;
};

std::span<const TableCheck> message_table_checks();

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_TABLE_CHECKS_H_
