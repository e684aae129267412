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

#include <boost/json/object.hpp>

#include "cli/vector_context.h"

namespace countersign::cli {

/// Runs one vector under one policy.
/// @return nothing if it passes, else one line that says why not.
std::optional<std::string> run_vector(const VectorContext& context,
                                      const boost::json::object& vector, std::string_view policy);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_VECTOR_KINDS_H_
