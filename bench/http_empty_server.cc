// The engine with nothing behind it: what a request costs before anybody looks at metrics.
// Answers POST and PUT with 200 and no body, GET with a body of a given size.
//
//   http_empty_server [--threads=N] [--body-bytes=N] [--listen=ADDRESS]
//
// Prints its address on the first line, and stops on SIGINT or SIGTERM.
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "server/http/server.h"

namespace {

class EmptyHandler final : public pgw::http::Handler {
 public:
  explicit EmptyHandler(std::size_t body_bytes) : body_(body_bytes, 'x') {}

  std::optional<pgw::http::Response> OnHeader(const pgw::http::Request&) override {
    return std::nullopt;
  }

  pgw::http::Response OnRequest(const pgw::http::Request& request) override {
    pgw::http::Response response;
    if (request.method == "GET") response.body = body_;
    return response;
  }

 private:
  const std::string body_;
};

// The value of `--name=value`.
bool Flag(std::string_view argument, std::string_view name, std::string_view& value) {
  if (!argument.starts_with(name) || argument.substr(name.size(), 1) != "=") return false;
  value = argument.substr(name.size() + 1);
  return true;
}

bool Number(std::string_view text, std::size_t& value) {
  const char* end = text.data() + text.size();
  return std::from_chars(text.data(), end, value).ptr == end && !text.empty();
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:0";
  std::size_t body_bytes = 0;
  std::size_t threads = 2;
  for (int i = 1; i < argc; ++i) {
    std::string_view value;
    bool good = false;
    if (Flag(argv[i], "--listen", value)) {
      listen = value;
      good = true;
    } else if (Flag(argv[i], "--body-bytes", value)) {
      good = Number(value, body_bytes);
    } else if (Flag(argv[i], "--threads", value)) {
      good = Number(value, threads);
    }
    if (!good) {
      std::fprintf(stderr, "http_empty_server: bad argument %s\n", argv[i]);
      return 1;
    }
  }

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  pgw::http::RaiseOpenFilesLimit();
  const pgw::SystemClock clock;
  pgw::Logger log(clock, STDERR_FILENO, pgw::LogLevel::kInfo, pgw::LogFormat::kLogfmt);
  EmptyHandler handler(body_bytes);
  pgw::http::ServerOptions options;
  options.threads = static_cast<unsigned>(threads);
  pgw::http::Server server(handler, options, clock, log);
  const pgw::Result<std::string> address = server.Listen(listen);
  if (!address) {
    std::fprintf(stderr, "http_empty_server: %s\n", address.error().message.c_str());
    return 1;
  }
  server.Start();
  std::printf("%s\n", address->c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  server.Shutdown();
  return 0;
}
