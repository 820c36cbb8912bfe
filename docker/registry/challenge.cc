#include "docker/registry/challenge.h"

#include <vector>

namespace pgw::image {
namespace {

constexpr std::string_view kTokenEnd = " \t,=\"";

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  // scheme name="value", name=value, scheme …: a comma stands between parameters as well as
  // between challenges; what is followed by = is a parameter.
  std::vector<Challenge> Parse() {
    std::vector<Challenge> challenges;
    while (true) {
      Skip(" \t,");
      const std::string word = Token();
      if (word.empty()) return challenges;
      Skip(" \t");
      if (!rest_.starts_with('=')) {
        challenges.push_back({word, {}});
        continue;
      }
      rest_.remove_prefix(1);
      Skip(" \t");
      std::string value = rest_.starts_with('"') ? Quoted() : std::string(Token(" \t,\""));
      if (!challenges.empty()) challenges.back().parameters.emplace(word, std::move(value));
    }
  }

 private:
  void Skip(std::string_view characters) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(characters), rest_.size()));
  }
  std::string Token(std::string_view end = kTokenEnd) {
    const std::size_t size = std::min(rest_.find_first_of(end), rest_.size());
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return end == kTokenEnd ? Lower(token) : std::string(token);
  }
  std::string Quoted() {
    std::string value;
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      value.push_back(rest_.front());
      rest_.remove_prefix(1);
    }
    if (!rest_.empty()) rest_.remove_prefix(1);
    return value;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<Challenge> ParseChallenge(std::string_view header) {
  const std::vector<Challenge> challenges = Parser(header).Parse();
  for (const std::string_view scheme : {"bearer", "basic"}) {
    for (const Challenge& challenge : challenges) {
      if (challenge.scheme == scheme) return challenge;
    }
  }
  return std::nullopt;
}

}  // namespace pgw::image
