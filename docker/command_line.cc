#include "docker/command_line.h"

#include <algorithm>

namespace pgw::image {
namespace {

class Parser {
 public:
  Parser(const CommandSpec& command, std::span<const std::string> words) : words_(words) {
    parsed_.command = &command;
  }

  Result<ParsedCommand> Parse() {
    bool only_operands = false;
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (only_operands || word.size() < 2 || word.front() != '-') {
        parsed_.operands.push_back(word);
      } else if (word == "--") {
        only_operands = true;
      } else if (word == "--help" || word == "-h") {
        parsed_.help = true;
        return std::move(parsed_);
      } else if (Status status = ParseOption(word); !status) {
        return status.error();
      }
    }
    return CheckOperands();
  }

 private:
  const OptionSpec* Find(std::string_view name) const {
    const auto& options = parsed_.command->options;
    const auto found = std::ranges::find_if(options, [name](const OptionSpec& option) {
      return option.name == name || (name.size() == 2 && option.short_name == name[1]);
    });
    return found == options.end() ? nullptr : &*found;
  }

  Status ParseOption(const std::string& word) {
    const bool is_long = word.starts_with("--");
    const std::size_t end = is_long ? std::min(word.find('='), word.size()) : 2;
    const std::string name = word.substr(0, end);
    const OptionSpec* const option = Find(name);
    if (option == nullptr) return InvalidArgument("unknown option " + name);
    const bool attached = end < word.size();
    std::string value = attached ? word.substr(end + (is_long ? 1 : 0)) : "";
    if (option->placeholder.empty()) {
      if (attached) return InvalidArgument(name + " takes no value");
    } else if (!attached) {
      if (next_ == words_.size()) {
        return InvalidArgument(name + " expects " + std::string(option->placeholder));
      }
      value = words_[next_++];
    }
    std::vector<std::string>& values = parsed_.options[option->name];
    if (!values.empty() && !option->repeatable) return InvalidArgument(name + " is there twice");
    values.push_back(std::move(value));
    return {};
  }

  Result<ParsedCommand> CheckOperands() {
    const auto& expected = parsed_.command->operands;
    if (parsed_.operands.size() > expected.size()) {
      return InvalidArgument("unexpected " + parsed_.operands[expected.size()]);
    }
    if (parsed_.operands.size() < expected.size()) {
      return InvalidArgument(std::string(parsed_.command->name) + " expects " +
                             std::string(expected[parsed_.operands.size()]));
    }
    return std::move(parsed_);
  }

  std::span<const std::string> words_;
  std::size_t next_ = 0;
  ParsedCommand parsed_;
};

}  // namespace

Result<ParsedCommand> ParseCommand(std::span<const CommandSpec> commands,
                                   std::span<const std::string> arguments) {
  if (arguments.empty()) return InvalidArgument("a command is expected");
  const auto command = std::ranges::find(commands, arguments.front(), &CommandSpec::name);
  if (command == commands.end()) return InvalidArgument("unknown command " + arguments.front());
  return Parser(*command, arguments.subspan(1)).Parse();
}

std::string DescribeCommand(const CommandSpec& command) {
  std::string text = "pgw-pack " + std::string(command.name);
  for (const std::string_view operand : command.operands) text.append(" ").append(operand);
  text.append("\n    ").append(command.help).append("\n");
  for (const OptionSpec& option : command.options) {
    std::string head = "    ";
    if (option.short_name != 0) head.append("-").append(1, option.short_name).append(", ");
    head.append(option.name);
    if (!option.placeholder.empty()) head.append(" ").append(option.placeholder);
    constexpr std::size_t kColumn = 32;
    head.append(head.size() + 2 < kColumn ? kColumn - head.size() : 2, ' ');
    text.append(head).append(option.help).append("\n");
  }
  return text;
}

}  // namespace pgw::image
