#include "docker/registry/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
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

using Steady = std::chrono::steady_clock;

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

// Whether there is something to read, or the other end is closed, before the deadline.
bool WaitUntilReadable(int fd, Steady::time_point deadline) {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now());
    pollfd poll_fd{fd, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&poll_fd, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

// Until the output ends. The input fits into a pipe's buffer.
Status ReadOutput(const std::string& program, int fd, Steady::time_point deadline,
                  std::string& text) {
  std::array<char, 4096> buffer;
  while (true) {
    if (!WaitUntilReadable(fd, deadline)) return Failed(program, "takes too long");
    const ssize_t read = ::read(fd, buffer.data(), buffer.size());
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) return {};
    text.append(buffer.data(), static_cast<std::size_t>(read));
    if (text.size() > kOutputBytesMax) return Failed(program, "writes too much");
  }
}

// Until the process has ended, without taking its exit code.
Status WaitForEnd(const std::string& program, pid_t pid, Steady::time_point deadline) {
  // glibc 2.36 declares the function for C alone.
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd >= 0) {
    const bool ended = WaitUntilReadable(fd, deadline);
    ::close(fd);
    return ended ? Status() : Failed(program, "does not end");
  }
  // Before Linux 5.3, or where a sandbox does not know the call: by looking again and again.
  while (true) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid) {
      return {};
    }
    if (Steady::now() >= deadline) return Failed(program, "does not end");
    ::poll(nullptr, 0, 10);
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
  const Steady::time_point deadline = Steady::now() + timeout;
  Status status = ReadOutput(program, out.reader(), deadline, output.text);
  if (status) status = WaitForEnd(program, pid, deadline);
  if (!status) ::kill(pid, SIGKILL);
  int wait_status = 0;
  while (::waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  if (!status) return status.error();
  output.exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
  return output;
}

}  // namespace pgw::image
