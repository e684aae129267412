// How each kind of interop vector is run. Members that vectors.cc requires are relied on here.
// Thread-safety: const access only; may run concurrently.
// Source: tests/interop/vectors/README.md.
#ifndef COUNTERSIGN_CLI_VECTOR_KINDS_H_
#define COUNTERSIGN_CLI_VECTOR_KINDS_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
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

/// Runs one vector under one policy.
/// @return nothing if it passes, else one line that says why not.
std::optional<std::string> run_vector(const VectorContext& context,
                                      const boost::json::object& vector, std::string_view policy);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_VECTOR_KINDS_H_
