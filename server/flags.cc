#include "server/flags.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <utility>

namespace pgw {
namespace {

// Files may name files; what names itself is stopped here.
constexpr std::size_t kArgumentsMax = 100'000;

struct Token {
  enum class Kind : unsigned char { kLong, kShort, kWord, kError, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;

  // As error messages show it.
  std::string Shown() const {
    switch (kind) {
      case Kind::kLong:
        return "--" + text;
      case Kind::kShort:
        return "-" + text;
      case Kind::kError:
        return "error: " + text;
      case Kind::kWord:
      case Kind::kEnd:
        break;
    }
    return text;
  }
};

class Lexer {
 public:
  Lexer(std::span<const std::string> arguments, const ReadLines& read_lines)
      : read_lines_(read_lines), arguments_(arguments.begin(), arguments.end()) {}

  Token Next() {
    if (!peeked_.empty()) {
      Token token = std::move(peeked_.front());
      peeked_.pop_front();
      return token;
    }
    return Read();
  }

  const Token& Peek() {
    if (peeked_.empty()) {
      Token token = Read();  // which may leave the flag's value in the queue
      peeked_.push_front(std::move(token));
    }
    return peeked_.front();
  }

  // True if the next word, as it was typed, cannot be a value: there is none, or it begins with a
  // dash. (A dash may begin the value behind an equals sign.)
  bool NextLooksLikeFlag() const {
    if (!peeked_.empty()) return peeked_.front().kind != Token::Kind::kWord;
    return arguments_.empty() || arguments_.front().starts_with('-');
  }

 private:
  Token Read() {
    while (!arguments_.empty()) {
      std::string argument = std::move(arguments_.front());
      arguments_.pop_front();
      if (++read_ > kArgumentsMax) return {Token::Kind::kError, "too many arguments"};
      if (words_only_) return {Token::Kind::kWord, std::move(argument)};
      if (argument == "--") {
        words_only_ = true;
      } else if (argument.starts_with("--")) {
        return ReadLong(argument);
      } else if (argument.starts_with('-')) {
        return ReadShort(argument);
      } else if (argument.starts_with('@')) {
        if (auto error = Expand(argument.substr(1))) return *error;
      } else {
        return {Token::Kind::kWord, std::move(argument)};
      }
    }
    return {};
  }

  Token ReadLong(const std::string& argument) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) return {Token::Kind::kLong, argument.substr(2)};
    peeked_.push_back({Token::Kind::kWord, argument.substr(equals + 1)});
    return {Token::Kind::kLong, argument.substr(2, equals - 2)};
  }

  // -h, and -hx as -h -x. A lone dash is an empty word.
  Token ReadShort(const std::string& argument) {
    if (argument.size() == 1) return {Token::Kind::kWord, {}};
    std::size_t length = 1;
    while (1 + length < argument.size() && (argument[1 + length] & 0xc0) == 0x80) ++length;
    if (1 + length < argument.size()) arguments_.push_front("-" + argument.substr(1 + length));
    return {Token::Kind::kShort, argument.substr(1, length)};
  }

  std::optional<Token> Expand(const std::string& path) {
    Result<std::vector<std::string>> lines = read_lines_(path);
    if (!lines) return Token{Token::Kind::kError, lines.error().message};
    arguments_.insert(arguments_.begin(), lines->begin(), lines->end());
    return std::nullopt;
  }

  const ReadLines& read_lines_;
  std::deque<std::string> arguments_;
  std::deque<Token> peeked_;
  std::size_t read_ = 0;
  bool words_only_ = false;
};

class Parser {
 public:
  Parser(std::span<const FlagSpec> specs, Lexer lexer, std::size_t words_max)
      : specs_(specs), lexer_(std::move(lexer)), words_max_(words_max) {}

  ParsedCommandLine Parse() {
    ParsedCommandLine result;
    for (;;) {
      const Token& next = lexer_.Peek();
      if (next.kind == Token::Kind::kEnd) return result;
      if (next.kind == Token::Kind::kWord && result.words.size() < words_max_) {
        result.words.push_back(lexer_.Next().text);
        continue;
      }
      if (next.kind != Token::Kind::kLong && next.kind != Token::Kind::kShort) {
        result.error = InvalidArgument("unexpected " + next.Shown());
        return result;
      }
      Result<FlagUse> use = ParseFlag(lexer_.Next());
      if (!use) {
        result.error = use.error();
        return result;
      }
      result.uses.push_back(std::move(*use));
    }
  }

 private:
  Result<FlagUse> ParseFlag(const Token& token) {
    const bool is_long = token.kind == Token::Kind::kLong;
    const FlagSpec* flag = is_long ? FindLong(token.text) : FindShort(token.text);
    bool negated = false;
    if (flag == nullptr && is_long && token.text.starts_with("no-")) {
      flag = FindLong(std::string_view(token.text).substr(3));
      negated = true;
      if (flag != nullptr && flag->kind != FlagKind::kSwitch) flag = nullptr;
    }
    if (flag == nullptr) {
      const std::string_view kind = is_long ? "long" : "short";
      return InvalidArgument("unknown " + std::string(kind) + " flag '" + token.Shown() + "'");
    }
    if (flag->kind == FlagKind::kSwitch) return FlagUse{flag, negated ? "false" : "true"};
    if (flag->kind == FlagKind::kOptionalValue && lexer_.NextLooksLikeFlag()) {
      return FlagUse{flag, std::string(flag->bare_value)};
    }
    if (lexer_.Peek().kind != Token::Kind::kWord) {
      if (flag->kind == FlagKind::kOptionalValue)
        return FlagUse{flag, std::string(flag->bare_value)};
      return InvalidArgument("expected argument for flag '" + token.Shown() + "'");
    }
    return FlagUse{flag, lexer_.Next().text};
  }

  const FlagSpec* FindLong(std::string_view name) const {
    const auto found = std::ranges::find(specs_, name, &FlagSpec::name);
    return found == specs_.end() ? nullptr : &*found;
  }

  const FlagSpec* FindShort(std::string_view name) const {
    const auto found = std::ranges::find_if(specs_, [&](const FlagSpec& spec) {
      return spec.short_name != 0 && name == std::string_view(&spec.short_name, 1);
    });
    return found == specs_.end() ? nullptr : &*found;
  }

  const std::span<const FlagSpec> specs_;
  Lexer lexer_;
  const std::size_t words_max_;
};

// Breaks `text` at spaces into lines of at most `width` bytes.
std::vector<std::string> Wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width)
      lines.emplace_back();
    if (!lines.back().empty()) lines.back().push_back(' ');
    lines.back().append(word);
  }
  return lines;
}

std::string Usage(const FlagSpec& spec) {
  std::string text = spec.short_name != 0 ? std::string("-") + spec.short_name + ", " : "    ";
  text.append(spec.kind == FlagKind::kSwitch ? "--[no-]" : "--").append(spec.name);
  if (spec.kind == FlagKind::kOptionalValue) {
    const std::string_view shown = spec.placeholder.empty() ? spec.bare_value : spec.placeholder;
    return text + "[=" + std::string(shown) + "]";
  }
  if (spec.kind != FlagKind::kSwitch) {
    text.push_back('=');
    if (!spec.placeholder.empty()) {
      text.append(spec.placeholder);
    } else {
      text.append("\"").append(spec.default_value).append("\"");
    }
  }
  if (spec.kind == FlagKind::kRepeatable) text.append(" ...");
  return text;
}

}  // namespace

ParsedCommandLine ParseCommandLine(std::span<const FlagSpec> specs,
                                   std::span<const std::string> arguments,
                                   const ReadLines& read_lines, std::size_t words_max) {
  return Parser(specs, Lexer(arguments, read_lines), words_max).Parse();
}

Result<std::vector<std::string>> ReadArgumentFile(const std::string& path) {
  std::ifstream file(path);
  const auto reason = [] {
    std::string text = std::strerror(errno);
    if (!text.empty() && text.front() >= 'A' && text.front() <= 'Z') text.front() += 'a' - 'A';
    return text;
  };
  if (!file) return InvalidArgument("open " + path + ": " + reason());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && line.front() != '#') lines.push_back(line);
  }
  if (file.bad()) return InvalidArgument("read " + path + ": " + reason());
  return lines;
}

std::string DescribeFlags(std::span<const FlagSpec> specs) {
  constexpr std::size_t kUsageWidth = 44;
  constexpr std::size_t kHelpWidth = 100 - kUsageWidth - 4;
  std::string text;
  for (const FlagSpec& spec : specs) {
    if (spec.hidden) continue;
    std::string line = "  " + Usage(spec);
    for (const std::string& help : Wrap(spec.help, kHelpWidth)) {
      if (line.size() > kUsageWidth) {
        text.append(line).push_back('\n');
        line.clear();
      }
      line.resize(kUsageWidth + 2, ' ');
      text.append(line).append(help).push_back('\n');
      line.clear();
    }
  }
  return text;
}

}  // namespace pgw
