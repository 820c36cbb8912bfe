#include "docker/pack/variables.h"

#include <algorithm>

namespace pgw::image {

bool IsVariableName(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  };
  return !name.empty() && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

void CollectVariables(std::string_view text, std::set<std::string, std::less<>>& names) {
  for (std::size_t start = text.find("${"); start != std::string_view::npos;
       start = text.find("${", start + 2)) {
    if (start > 0 && text[start - 1] == '$') continue;
    const std::size_t end = text.find('}', start);
    if (end == std::string_view::npos) return;
    names.emplace(text.substr(start + 2, end - start - 2));
  }
}

Result<std::string> Substitute(std::string_view text, const Variables& variables) {
  std::string out;
  while (true) {
    const std::size_t start = text.find("${");
    if (start == std::string_view::npos) return out.append(text);
    if (start > 0 && text[start - 1] == '$') {
      out.append(text.substr(0, start - 1)).append("${");
      text.remove_prefix(start + 2);
      continue;
    }
    const std::size_t end = text.find('}', start);
    if (end == std::string_view::npos) {
      return InvalidArgument("\"" + std::string(text.substr(start)) + "\" has no closing }");
    }
    const std::string_view name = text.substr(start + 2, end - start - 2);
    if (!IsVariableName(name)) {
      return InvalidArgument("\"" + std::string(name) + "\" is no variable's name");
    }
    const auto found = variables.find(name);
    if (found == variables.end()) {
      return InvalidArgument("the variable " + std::string(name) +
                             " has no value; give it with --set " + std::string(name) + "=…");
    }
    out.append(text.substr(0, start)).append(found->second);
    text.remove_prefix(end + 1);
  }
}

}  // namespace pgw::image
