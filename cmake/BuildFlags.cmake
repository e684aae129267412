# countersign::build_flags: the one place that sets compiler flags.
set(COUNTERSIGN_SANITIZER "" CACHE STRING "Sanitizer of this build: empty, address or thread")

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(CCACHE_PROGRAM ccache)
  if(CCACHE_PROGRAM)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  endif()
endif()

add_library(countersign_build_flags INTERFACE)
add_library(countersign::build_flags ALIAS countersign_build_flags)
target_compile_features(countersign_build_flags INTERFACE cxx_std_20)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

target_compile_options(countersign_build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wcast-qual -Wformat=2 -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 takes the unset half of std::optional and tl::expected for an uninitialised read when it
  # inlines, and std::string's own insert for an overlapping copy (GCC bug 105651); Clang and the
  # sanitizers watch for the real thing.
  target_compile_options(countersign_build_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
else()
  target_compile_options(countersign_build_flags INTERFACE -Wno-unused-command-line-argument)
endif()

if(COUNTERSIGN_SANITIZER STREQUAL "address")
  target_compile_options(countersign_build_flags INTERFACE
    -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=function
    -fno-sanitize-recover=all)
  target_link_options(countersign_build_flags INTERFACE -fsanitize=address,undefined)
elseif(COUNTERSIGN_SANITIZER STREQUAL "thread")
  target_compile_options(countersign_build_flags INTERFACE
    -O1 -g1 -fno-omit-frame-pointer -fsanitize=thread)
  target_link_options(countersign_build_flags INTERFACE -fsanitize=thread)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(countersign_build_flags INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong
    -fstack-clash-protection)
  target_link_options(countersign_build_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

if(COUNTERSIGN_FUZZ)
  # Every room tells the fuzzer which branches it takes; fuzz/ links the fuzzer itself.
  target_compile_options(countersign_build_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(LLD_PROGRAM NAMES ld.lld ld.lld-14)
if(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_link_options(countersign_build_flags INTERFACE -fuse-ld=lld)
endif()
