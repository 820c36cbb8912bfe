// pushgateway-load: how exactly and how cheaply a Pushgateway's metrics expire under load.
// docs/load.md says how to use it.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "bench/load/options.h"
#include "bench/load/report.h"
#include "bench/load/result.h"
#include "bench/load/session.h"
#include "bench/load/version.h"

namespace {

std::atomic<bool> g_stop = false;

void OnSignal(int) { g_stop.store(true); }

void CatchSignals() {
  struct sigaction action{};
  action.sa_handler = OnSignal;
  // A second signal ends the program at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int Fail(const std::string& message, const char* hint) {
  std::fprintf(stderr, "pushgateway-load: error: %s%s\n", message.c_str(), hint);
  return 1;
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  return file.good();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const pgw::Result<pgw::load::CommandLine> command = pgw::load::ParseArguments(arguments);
  if (!command) return Fail(command.error().message, ", try --help");
  if (command->help) {
    std::fputs(pgw::load::HelpText().c_str(), stdout);
    return 0;
  }
  if (command->version) {
    std::printf("pushgateway-load, version %s\n", pgw::load::kVersion);
    return 0;
  }
  const pgw::load::Options& options = command->options;
  for (const std::string& warning : options.warnings) {
    std::fprintf(stderr, "pushgateway-load: warning: %s\n", warning.c_str());
  }
  // Better now than after the run.
  for (const std::string& path : {options.json_file, options.report_file}) {
    if (!path.empty() && !WriteFile(path, "")) return Fail("cannot write " + path, "");
  }
  CatchSignals();
  pgw::Result<pgw::load::LoadResult> result = pgw::load::RunSession(options, g_stop);
  if (!result) return Fail(result.error().message, "");
  result->program_version = pgw::load::kVersion;
  std::fputs(pgw::load::ToText(*result).c_str(), stdout);
  const std::string json = pgw::load::ToJson(*result);
  if (!options.json_file.empty() && !WriteFile(options.json_file, json + "\n")) {
    return Fail("cannot write " + options.json_file, "");
  }
  if (!options.report_file.empty() &&
      !WriteFile(options.report_file, pgw::load::HtmlReport(json))) {
    return Fail("cannot write " + options.report_file, "");
  }
  return pgw::load::ExitCode(*result);
}
