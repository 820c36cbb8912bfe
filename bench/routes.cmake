pgw_bench(routes_bench SOURCES routes_bench.cc LIBRARIES pgw::routes pgw_bench_payload)
