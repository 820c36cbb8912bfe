// Persistence files of the Go Pushgateway: whatever is read is in the file, and survives being
// written and read again. Maps have no order in such a file, and types no fixed form: bytes are
// compared only with what we have written ourselves.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "store/persistence/gob_reader.h"
#include "store/persistence/gob_writer.h"

namespace {

using namespace pgw;  // NOLINT: a program of one file

void CheckFailed(const char* condition, int line) {
  std::fprintf(stderr, "line %d: %s\n", line, condition);
  std::abort();
}
#define CHECK(condition) ((condition) ? void() : CheckFailed(#condition, __LINE__))

void CheckWithin(std::string_view file, std::string_view part) {
  const std::less_equal<> before;
  CHECK(part.empty() || (before(file.data(), part.data()) &&
                         before(part.data() + part.size(), file.data() + file.size())));
}

void CheckViews(std::string_view file, const GobGroup& group) {
  for (const auto& [name, value] : group.labels) {
    CheckWithin(file, name);
    CheckWithin(file, value);
  }
  for (const GobFamily& family : group.families) {
    CheckWithin(file, family.name);
    if (family.message) CheckWithin(file, *family.message);
  }
}

// Lists longer than what the reader promises would be memory out of nothing.
void CheckGrowth(std::string_view file, const GobGroup& group) {
  const std::size_t held = group.labels.size() * sizeof(group.labels[0]) +
                           group.families.size() * sizeof(group.families[0]);
  CHECK(held <= file.size() * 16 + 64 * 1024);
}

std::string Rewritten(std::string_view file) {
  std::string written;
  const Status status = WriteGob([&](const GobVisitor& visit) { return ReadGob(file, visit); },
                                 [&](std::string_view bytes) {
                                   written += bytes;
                                   return Status();
                                 });
  CHECK(status.ok());
  return written;
}

// The content as text, in the order of the file.
std::string Content(std::string_view file) {
  std::string text;
  const Status status = ReadGob(file, [&](const GobGroup& group) {
    text += "group " + std::to_string(group.labels.size()) + ' ' +
            std::to_string(group.families.size());
    for (const GobFamily& family : group.families) {
      text.append(family.name).append(1, '\n');
      if (family.pushed) text += std::to_string(family.pushed->time_since_epoch().count());
      text += family.message ? '+' + std::string(*family.message) : "-";
    }
    return Status();
  });
  CHECK(status.ok());
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const Status status = ReadGob(file, [&](const GobGroup& group) {
    CheckViews(file, group);
    CheckGrowth(file, group);
    return Status();
  });
  if (!status) {
    CHECK(status.error().message.starts_with("byte "));
    return 0;
  }
  const std::string written = Rewritten(file);
  CHECK(LooksLikeGob(written));
  CHECK(Content(written) == Content(file));
  CHECK(Rewritten(written) == written);
  return 0;
}
