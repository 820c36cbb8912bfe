# The load bench: a library, so that tests can have its parts, and the program.
set(load_folder ${CMAKE_CURRENT_LIST_DIR}/load)

# The page goes into the program; it is text, read when CMake runs and again when it changes.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${load_folder}/report.html)
file(READ ${load_folder}/report.html report_page)
configure_file(${load_folder}/report_template.h.in load/bench/load/report_template.h @ONLY)
configure_file(${load_folder}/version.h.in load/bench/load/version.h @ONLY)

add_library(pgw_load STATIC
  load/cliff_driver.cc
  load/engine.cc
  load/expiry_ledger.cc
  load/figures.cc
  load/histogram.cc
  load/network.cc
  load/options.cc
  load/process_sampler.cc
  load/progress.cc
  load/push_driver.cc
  load/report.cc
  load/response_parser.cc
  load/result.cc
  load/schedule.cc
  load/scrape_driver.cc
  load/scrape_scanner.cc
  load/session.cc
  load/stall_driver.cc
  load/timeline.cc
  load/watch_driver.cc
  load/workload.cc)
add_library(pgw::load ALIAS pgw_load)
target_include_directories(pgw_load PUBLIC ${CMAKE_CURRENT_BINARY_DIR}/load)
# pgw::program for the grammar of the command line.
target_link_libraries(pgw_load PUBLIC pgw::base PRIVATE pgw::program Boost::headers Threads::Threads)

add_executable(pushgateway-load load/main.cc)
target_link_libraries(pushgateway-load PRIVATE pgw::load)

include(GNUInstallDirs)
install(TARGETS pushgateway-load RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT bench)
