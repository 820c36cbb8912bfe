# The engine alone, as a reference for what the product costs on top of it.
add_executable(http_empty_server ${PROJECT_SOURCE_DIR}/bench/http_empty_server.cc)
target_link_libraries(http_empty_server PRIVATE pgw::http)
