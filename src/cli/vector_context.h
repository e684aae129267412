// What all interop vectors of a file share: the key ring and the numbers of the policies.
// Source: tests/interop/vectors/README.md.
#ifndef COUNTERSIGN_CLI_VECTOR_CONTEXT_H_
#define COUNTERSIGN_CLI_VECTOR_CONTEXT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/result.h"

namespace countersign::cli {

/// What all vectors of a file share.
struct VectorContext {
  std::shared_ptr<const KeyRing> ring;
  std::map<std::string, Policy, std::less<>> policies;
};

/// Reads an array of `{key, secret}`; several secrets of one key are all active.
Result<std::shared_ptr<const KeyRing>> read_keyring(const boost::json::array& keyring);
/// Reads a policy's numbers; those the file leaves out are the built-in policy's of that name.
Result<Policy> read_policy(std::string_view name, const boost::json::object& numbers);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_VECTOR_CONTEXT_H_
