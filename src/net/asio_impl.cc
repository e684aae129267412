// Asio's own functions, compiled once here instead of in every file that includes Asio
// (BOOST_ASIO_SEPARATE_COMPILATION, set for all users of this room by its CMakeLists.txt).
#include <boost/asio/impl/src.hpp>
