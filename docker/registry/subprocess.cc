#include "docker/registry/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

extern char** environ;

namespace pgw::image {
namespace {

constexpr std::size_t kOutputBytesMax = 64 * 1024;

class Pipe {
 public:
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }
  Pipe() { good_ = ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  bool good() const { return good_; }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseReader() { Close(ends_[0]); }
  void CloseWriter() { Close(ends_[1]); }

 private:
  static void Close(int& fd) {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  std::array<int, 2> ends_{-1, -1};
  bool good_ = false;
};

Error Failed(const std::string& program, std::string_view what) {
  return {Code::kUnavailable, program + ": " + std::string(what)};
}

// Until the output ends. The input fits into a pipe's buffer.
Status ReadOutput(const std::string& program, int fd, std::chrono::milliseconds timeout,
                  std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::array<char, 4096> buffer;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd poll_fd{fd, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&poll_fd, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Failed(program, "takes too long");
    const ssize_t read = ::read(fd, buffer.data(), buffer.size());
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) return {};
    text.append(buffer.data(), static_cast<std::size_t>(read));
    if (text.size() > kOutputBytesMax) return Failed(program, "writes too much");
  }
}

}  // namespace

Result<ProcessOutput> RunProcess(const std::vector<std::string>& words, std::string_view input,
                                 std::chrono::milliseconds timeout) {
  const std::string& program = words.front();
  Pipe in;
  Pipe out;
  if (!in.good() || !out.good()) return Failed(program, "no pipe");
  if (input.size() > 4096) return Failed(program, "too much input");
  // Before it runs: nobody can close the other end yet.
  if (::write(in.writer(), input.data(), input.size()) != static_cast<ssize_t>(input.size())) {
    return Failed(program, "no pipe");
  }
  in.CloseWriter();

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.reader(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.writer(), STDOUT_FILENO);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Failed(program, std::generic_category().message(error));
  out.CloseWriter();

  ProcessOutput output;
  const Status status = ReadOutput(program, out.reader(), timeout, output.text);
  if (!status) ::kill(pid, SIGKILL);
  int wait_status = 0;
  while (::waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  if (!status) return status.error();
  output.exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
  return output;
}

}  // namespace pgw::image
