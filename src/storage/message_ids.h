// What messages are known by: conversation ids that follow from the members, and chains.
//
// Every kind of store has to come to the same answers, so that data can move between them.
// Thread-safety: pure functions. Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_STORAGE_MESSAGE_IDS_H_
#define COUNTERSIGN_STORAGE_MESSAGE_IDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/message_records.h"

namespace countersign::storage {

/// The order of identities wherever something is "ordered by identity": user names, then e-mail
/// addresses, then numbers, each by the bytes of the endpoint.
bool identity_before(const Identity& a, const Identity& b);

/// Sorted by identity_before(), each once.
std::vector<Identity> sorted_identities(std::vector<Identity> identities);

/// The conversation of exactly these people: `c-` and the first 26 digits of the lower-case base32
/// (RFC 4648) of SHA-256 over the application key and each member's type name and endpoint, each
/// preceded by its length (4 bytes, big-endian).
/// @param members  all of them, in any order.
std::string direct_conversation_id(std::string_view application, std::vector<Identity> members);

/// The chain before the first entry of an inbox.
std::string first_chain();

/// The chain after an entry; see Position.
/// @param chain  kChainBytes, after the entry before.
/// @param message_id  16 bytes.
std::string next_chain(std::string_view chain, std::string_view message_id, std::int64_t offset);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_MESSAGE_IDS_H_
