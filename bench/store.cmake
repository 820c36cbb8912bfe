add_library(pgw_bench_payload STATIC payload.cc)
target_link_libraries(pgw_bench_payload PUBLIC pgw_options)
pgw_bench(store_bench SOURCES store_bench.cc LIBRARIES pgw::store pgw_bench_payload)
