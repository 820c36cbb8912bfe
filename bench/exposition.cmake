pgw_bench(exposition_bench
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/exposition_bench.cc
  LIBRARIES pgw::exposition)
# Once in the tests, so that it cannot rot: the results are checked, the times ignored.
if(PGW_TESTS)
  add_test(NAME exposition_bench COMMAND exposition_bench --benchmark_min_time=0.001)
  set_tests_properties(exposition_bench PROPERTIES LABELS unit)
endif()
