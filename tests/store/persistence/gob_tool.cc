// Between the Go Pushgateway's persistence file and lines of text, for tests that talk to real
// ones.
//
//   gob_tool print FILE          the content as lines
//   gob_tool write OUT           writes a file from such lines on standard input
//   gob_tool copy FILE OUT       reads and writes; messages stay as they are
//   gob_tool render FILE OUT     the same, but each message is parsed and written anew
//
// The lines; names, values and messages are hexadecimal, `-` stands for what is absent:
//   group NAME=VALUE NAME=VALUE …
//   family NAME NANOSECONDS MESSAGE
#include <charconv>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/protobuf_reader.h"
#include "exposition/protobuf_writer.h"
#include "store/persistence/gob_reader.h"
#include "store/persistence/gob_writer.h"

namespace {

using namespace pgw;  // NOLINT: a program of one file

std::string ToHex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string FromHex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Status Print(const GobGroup& group) {
  std::string text = "group";
  for (const auto& [name, value] : group.labels) text += ' ' + ToHex(name) + '=' + ToHex(value);
  for (const GobFamily& family : group.families) {
    text += "\nfamily " + ToHex(family.name);
    text += family.pushed ? ' ' + std::to_string(family.pushed->time_since_epoch().count()) : " -";
    text += family.message ? ' ' + ToHex(*family.message) : " -";
  }
  std::puts(text.c_str());
  return {};
}

// What the lines say; owns what the groups point to.
struct Content {
  std::deque<std::string> texts;
  std::vector<GobGroup> groups;

  std::string_view Keep(std::string text) { return texts.emplace_back(std::move(text)); }

  void Take(const std::string& line) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "group") {
      groups.emplace_back();
      while (words >> word) {
        const std::size_t equals = word.find('=');
        groups.back().labels.emplace_back(Keep(FromHex(word.substr(0, equals))),
                                          Keep(FromHex(word.substr(equals + 1))));
      }
    } else if (word == "family") {
      std::string name;
      std::string pushed;
      std::string message;
      words >> name >> pushed >> message;
      GobFamily family{Keep(FromHex(name)), {}, {}};
      if (pushed != "-") family.pushed = WallTime(std::chrono::nanoseconds(std::stoll(pushed)));
      if (message != "-") family.message = Keep(FromHex(message));
      groups.back().families.push_back(family);
    }
  }
};

// Each message as it comes out of our own types.
Status Render(const GobGroup& group, const GobVisitor& visit) {
  GobGroup rendered = group;
  std::deque<std::string> texts;
  for (GobFamily& family : rendered.families) {
    FamilySet set;
    if (!family.message) return InvalidArgument("a family without a message");
    if (Status status = ParseFamilyMessage(*family.message, set); !status) return status;
    family.message =
        texts.emplace_back(SerializeFamily(set, set.families.at(0), Escaping::kAllowUtf8));
  }
  return visit(rendered);
}

Status WriteTo(const std::string& path, const GobWalk& walk) {
  std::ofstream out(path, std::ios::binary);
  Status status = WriteGob(walk, [&](std::string_view bytes) {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return out ? Status() : Status(Error{Code::kUnavailable, "cannot write " + path});
  });
  return status;
}

Status Run(const std::vector<std::string>& words) {
  const std::string& command = words.at(0);
  if (command == "print") return ReadGob(ReadFile(words.at(1)), Print);
  if (command == "write") {
    Content content;
    for (std::string line; std::getline(std::cin, line);) content.Take(line);
    return WriteTo(words.at(1), [&](const GobVisitor& visit) {
      for (const GobGroup& group : content.groups) {
        if (Status status = visit(group); !status) return status;
      }
      return Status();
    });
  }
  const std::string file = ReadFile(words.at(1));
  return WriteTo(words.at(2), [&](const GobVisitor& visit) {
    if (command == "copy") return ReadGob(file, visit);
    return ReadGob(file, [&](const GobGroup& group) { return Render(group, visit); });
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const Status status = Run({argv + 1, argv + argc});
  if (!status) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
