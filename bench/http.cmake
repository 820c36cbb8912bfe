# The engine alone, as a reference for what the product costs on top of it. Without PGW_BENCH it is built only when asked
# for, as beside the programs that ship.
add_executable(http_empty_server ${PROJECT_SOURCE_DIR}/bench/http_empty_server.cc)
target_link_libraries(http_empty_server PRIVATE pgw::http)
set_target_properties(http_empty_server PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
if(NOT PGW_BENCH)
  set_target_properties(http_empty_server PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
