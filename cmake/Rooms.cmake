# One static library per room of src/, and one test program beside it.

# countersign_room(NAME SOURCES… [USES targets…]): the library countersign_NAME, alias countersign::NAME.
function(countersign_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES" ${ARGN})
  if(ROOM_SOURCES)
    add_library(countersign_${name} STATIC ${ROOM_SOURCES})
    target_include_directories(countersign_${name}
      PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(countersign_${name}
      PUBLIC ${ROOM_USES} PRIVATE $<BUILD_INTERFACE:countersign::build_flags>)
    target_compile_features(countersign_${name} PUBLIC cxx_std_20)
  else()
    add_library(countersign_${name} INTERFACE)
    target_include_directories(countersign_${name}
      INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(countersign_${name} INTERFACE ${ROOM_USES})
  endif()
  add_library(countersign::${name} ALIAS countersign_${name})
endfunction()

# countersign_tests(NAME SOURCES… [USES targets…]): the test program NAME_tests, known to CTest.
function(countersign_tests name)
  if(NOT COUNTERSIGN_TESTS)
    return()
  endif()
  enable_testing()
  find_package(GTest REQUIRED)
  cmake_parse_arguments(TESTS "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name}_tests ${TESTS_SOURCES})
  target_link_libraries(${name}_tests PRIVATE
    ${TESTS_USES} countersign::build_flags GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_tests PRIVATE
    COUNTERSIGN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set_target_properties(${name}_tests PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name}_tests)
endfunction()

# RapidCheck is packaged without a CMake config file.
function(countersign_find_rapidcheck)
  if(TARGET rapidcheck)
    return()
  endif()
  find_path(RAPIDCHECK_INCLUDE_DIR rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
  add_library(rapidcheck INTERFACE IMPORTED GLOBAL)
  target_include_directories(rapidcheck SYSTEM INTERFACE ${RAPIDCHECK_INCLUDE_DIR})
  target_link_libraries(rapidcheck INTERFACE ${RAPIDCHECK_LIBRARY})
endfunction()
