#include "base/file_system.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace pgw {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::StartsWith;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  PosixFileSystemTest() {
    std::string pattern = ::testing::TempDir() + "pgw_files_XXXXXX";
    const char* const made = mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    folder_ = pattern;
  }
  ~PosixFileSystemTest() override {
    if (const auto names = files_.List(folder_)) {
      for (const std::string& name : *names) {
        const std::string path = Path(name);
        if (unlink(path.c_str()) != 0) rmdir(path.c_str());
      }
    }
    rmdir(folder_.c_str());
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Read(const std::string& name) {
    const auto file = files_.Open(Path(name), FileAccess::kRead);
    if (!file) return file.error().message;
    std::string bytes(1000, '\0');
    const auto read = (*file)->ReadAt(0, bytes);
    bytes.resize(read ? *read : 0);
    return bytes;
  }
  void Write(const std::string& name, std::string_view bytes) {
    const auto file = files_.Create(Path(name), 0600);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->WriteAt(0, bytes));
  }

  PosixFileSystem files_;
  std::string folder_;
};

TEST_F(PosixFileSystemTest, WritesReadsCutsAndSyncs) {
  const auto file = files_.Create(Path("a"), 0600);
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->WriteAt(0, "0123456789"));
  EXPECT_TRUE((*file)->WriteAt(5, "abc"));
  EXPECT_TRUE((*file)->SyncData());
  EXPECT_EQ(*(*file)->Size(), 10U);
  std::array<char, 4> buffer{};
  EXPECT_EQ(*(*file)->ReadAt(4, buffer), 4U);
  EXPECT_EQ(std::string(buffer.data(), 4), "4abc");
  EXPECT_EQ(*(*file)->ReadAt(8, buffer), 2U);
  EXPECT_EQ(*(*file)->ReadAt(10, buffer), 0U);
  EXPECT_EQ(*(*file)->ReadAt(1000, buffer), 0U);
  EXPECT_TRUE((*file)->Truncate(3));
  EXPECT_TRUE((*file)->WriteAt(5, "x"));
  EXPECT_TRUE((*file)->Sync());
  EXPECT_EQ(Read("a"), std::string("012\0\0x", 6));
}

TEST_F(PosixFileSystemTest, NewFilesHaveTheModeAskedForWhateverTheUmask) {
  const mode_t before = umask(0777);
  EXPECT_TRUE(files_.Create(Path("private"), FileSystem::kPrivateMode));
  EXPECT_TRUE(files_.Create(Path("shared"), 0644));
  umask(before);
  EXPECT_EQ((*files_.Inspect(Path("private")))->mode, 0600U);
  EXPECT_EQ((*files_.Inspect(Path("shared")))->mode, 0644U);
}

TEST_F(PosixFileSystemTest, CreatesOnlyWhatDoesNotExist) {
  Write("a", "kept");
  const auto again = files_.Create(Path("a"), 0600);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, "create " + Path("a") + ": File exists");
  EXPECT_EQ(again.error().code, Code::kUnavailable);
  EXPECT_EQ(Read("a"), "kept");
}

TEST_F(PosixFileSystemTest, ChangesNames) {
  Write("a", "A");
  Write("b", "B");
  EXPECT_TRUE(files_.Rename(Path("a"), Path("b")));
  EXPECT_TRUE(files_.Link(Path("b"), Path("c")));
  EXPECT_FALSE(files_.Link(Path("b"), Path("c")));
  EXPECT_TRUE(files_.SyncFolder(folder_));
  EXPECT_THAT(*files_.List(folder_), ElementsAre("b", "c"));
  EXPECT_EQ(Read("c"), "A");
  EXPECT_TRUE(files_.Remove(Path("b")));
  EXPECT_TRUE(files_.Remove(Path("b")));
  EXPECT_THAT(*files_.List(folder_), ElementsAre("c"));
  EXPECT_EQ(files_.Rename(Path("a"), Path("b")).error().message,
            "rename to " + Path("b") + ": No such file or directory");
}

TEST_F(PosixFileSystemTest, TellsWhatIsThere) {
  Write("a", "12345");
  const auto file = files_.Inspect(Path("a"));
  EXPECT_EQ((*file)->kind, FileInfo::Kind::kRegular);
  EXPECT_EQ((*file)->size, 5U);
  EXPECT_EQ((*files_.Inspect(folder_))->kind, FileInfo::Kind::kFolder);
  EXPECT_EQ((*files_.Inspect("/dev/null"))->kind, FileInfo::Kind::kOther);
  EXPECT_FALSE(files_.Inspect(Path("b"))->has_value());
  EXPECT_FALSE(files_.Inspect(Path("a/b")));  // not a folder
}

TEST_F(PosixFileSystemTest, OpensRegularFilesAloneAndNeverHangs) {
  EXPECT_EQ(Read("absent"), "open " + Path("absent") + ": No such file or directory");
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(Read("pipe"), "open " + Path("pipe") + ": not a regular file");
  ASSERT_EQ(mkdir(Path("folder").c_str(), 0700), 0);
  EXPECT_EQ(Read("folder"), "open " + Path("folder") + ": Is a directory");
}

TEST_F(PosixFileSystemTest, KnowsWhetherAFolderCanBeWrittenTo) {
  EXPECT_TRUE(files_.CheckWritable(folder_));
  EXPECT_EQ(files_.CheckWritable(Path("absent")).error().message,
            "stat " + Path("absent") + ": No such file or directory");
  Write("a", "");
  EXPECT_THAT(files_.CheckWritable(Path("a")).error().message, EndsWith("Not a directory"));
  ASSERT_EQ(chmod(folder_.c_str(), 0500), 0);
  const pid_t child = fork();
  if (child == 0) {
    // Root may do everything.
    const bool nobody = geteuid() != 0 || setuid(65534) == 0;
    _exit(nobody && !files_.CheckWritable(folder_) ? 0 : 1);
  }
  int result = -1;
  waitpid(child, &result, 0);
  EXPECT_EQ(result, 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0700), 0);
}

// What another process gets when it wants the lock; it says nothing while it holds it.
std::string LockElsewhere(const std::string& path) {
  std::array<int, 2> pipe_fds{};
  if (pipe(pipe_fds.data()) != 0) return "pipe";
  const pid_t child = fork();
  if (child == 0) {
    PosixFileSystem files;
    const auto lock = files.Lock(path);
    const std::string text = lock ? "locked" : lock.error().message;
    const bool written = write(pipe_fds[1], text.data(), text.size()) > 0;
    _exit(written ? 0 : 1);
  }
  close(pipe_fds[1]);
  std::string text(1000, '\0');
  const ssize_t size = read(pipe_fds[0], text.data(), text.size());
  close(pipe_fds[0]);
  waitpid(child, nullptr, 0);
  return text.substr(0, size > 0 ? static_cast<std::size_t>(size) : 0);
}

TEST_F(PosixFileSystemTest, LockKeepsOtherProcessesOutAndNamesItsHolder) {
  auto lock = files_.Lock(Path("lock"));
  ASSERT_TRUE(lock);
  EXPECT_EQ(LockElsewhere(Path("lock")),
            "lock " + Path("lock") + ": held by process " + std::to_string(getpid()));
  EXPECT_FALSE(files_.Lock(Path("lock")));  // nor twice in one process
  lock->reset();
  EXPECT_EQ(LockElsewhere(Path("lock")), "locked");
  // The other process has ended, and with it its lock.
  EXPECT_TRUE(files_.Lock(Path("lock")));
}

TEST_F(PosixFileSystemTest, LockTellsWhenItsFileIsNotThereAnyMore) {
  const auto lock = files_.Lock(Path("lock"));
  ASSERT_TRUE(lock);
  EXPECT_TRUE((*lock)->InPlace());
  ASSERT_TRUE(files_.Remove(Path("lock")));
  EXPECT_FALSE((*lock)->InPlace());
  // That is what it can be told for: another one can be had now.
  const auto second = files_.Lock(Path("lock"));
  ASSERT_TRUE(second);
  EXPECT_TRUE((*second)->InPlace());
  EXPECT_FALSE((*lock)->InPlace());
}

TEST_F(PosixFileSystemTest, FilesAreLockedWhateverTheirName) {
  auto first = files_.Create(Path("a"), 0600);
  ASSERT_TRUE(first);
  EXPECT_TRUE(*(*first)->TryLock());
  ASSERT_TRUE(files_.Rename(Path("a"), Path("b")));
  const auto open = [this](FileAccess access) {
    return std::move(*files_.Open(Path("b"), access));
  };
  EXPECT_FALSE(*open(FileAccess::kRead)->TryLock());
  EXPECT_FALSE(*open(FileAccess::kReadWrite)->TryLock());
  // That those were closed leaves the lock alone.
  EXPECT_FALSE(*open(FileAccess::kReadWrite)->TryLock());
  first->reset();
  const std::unique_ptr<File> reader = open(FileAccess::kRead);
  EXPECT_TRUE(*reader->TryLock());
  EXPECT_TRUE(*open(FileAccess::kRead)->TryLock());
  EXPECT_FALSE(*open(FileAccess::kReadWrite)->TryLock());
}

TEST_F(PosixFileSystemTest, LockEndsWithAProcessThatIsKilled) {
  std::array<int, 2> pipe_fds{};
  ASSERT_EQ(pipe(pipe_fds.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    PosixFileSystem files;
    const auto lock = files.Lock(Path("lock"));
    if (write(pipe_fds[1], lock ? "y" : "n", 1) == 1) pause();
    _exit(1);
  }
  char answer = 0;
  ASSERT_EQ(read(pipe_fds[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const auto refused = files_.Lock(Path("lock"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, EndsWith("held by process " + std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(files_.Lock(Path("lock")));
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(PosixFileSystemTest, ReportsAFullDisk) {
  if (mount("none", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "no file system can be mounted here: " << std::strerror(errno);
  }
  {
    const auto file = files_.Create(Path("a"), 0600);
    ASSERT_TRUE(file);
    const Status status = (*file)->WriteAt(0, std::string(1 << 20, 'x'));
    EXPECT_FALSE(status);
    if (!status) {
      EXPECT_EQ(status.error().message, "write " + Path("a") + ": No space left on device");
    }
    // What was written in part can be cut off, and then there is room again.
    EXPECT_GT(*(*file)->Size(), 0U);
    EXPECT_TRUE((*file)->Truncate(0));
    EXPECT_TRUE((*file)->WriteAt(0, "fits"));
    EXPECT_TRUE((*file)->SyncData());
  }
  EXPECT_EQ(umount(folder_.c_str()), 0);
}

TEST(FolderOfTest, IsWhatStandsBeforeTheLastSlash) {
  EXPECT_EQ(FolderOf("/a/b/c"), "/a/b");
  EXPECT_EQ(FolderOf("/a"), "/");
  EXPECT_EQ(FolderOf("a"), ".");
  EXPECT_EQ(FolderOf("a/b"), "a");
}

}  // namespace
}  // namespace pgw
