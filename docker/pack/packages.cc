#include "docker/pack/packages.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "docker/archive/digest.h"
#include "docker/printable.h"

namespace pgw::image {
namespace {

constexpr std::string_view kAlnum =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool Consists(std::string_view text, std::string_view more) {
  return !text.empty() && std::ranges::all_of(text, [more](char c) {
    return kAlnum.find(c) != std::string_view::npos || more.find(c) != std::string_view::npos;
  });
}

// Words and parentheses of a licence expression.
std::vector<std::string_view> Tokens(std::string_view text) {
  std::vector<std::string_view> tokens;
  while (!text.empty()) {
    const bool single = text.front() == ' ' || text.front() == '(' || text.front() == ')';
    const std::size_t size = single ? 1 : std::min(text.find_first_of(" ()"), text.size());
    if (text.front() != ' ') tokens.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return tokens;
}

bool IsLicenceExpression(std::string_view text) {
  int depth = 0;
  bool wants_operand = true;
  for (const std::string_view token : Tokens(text)) {
    if (token == "(") {
      if (!wants_operand) return false;
      ++depth;
    } else if (token == ")") {
      if (wants_operand || --depth < 0) return false;
    } else if (token == "AND" || token == "OR" || token == "WITH") {
      if (wants_operand) return false;
      wants_operand = true;
    } else {
      if (!wants_operand || !Consists(token, "-.+:")) return false;
      wants_operand = false;
    }
  }
  return depth == 0 && !wants_operand;
}

std::optional<std::string_view> FaultOf(const Package& package) {
  if (!Consists(package.name, "+.-")) return "the name";
  if (!Consists(package.version, "+.-~:")) return "the version";
  if (!Consists(package.architecture, "-")) return "the architecture";
  if (!IsSha256Hex(package.sha256)) return "the SHA-256";
  if (!IsLicenceExpression(package.licence)) return "the SPDX licence expression";
  return std::nullopt;
}

// False where there are not five or six fields.
bool SplitLine(std::string_view line, Package& package, std::string& use) {
  const std::array fields{&package.name,   &package.version, &package.architecture,
                          &package.sha256, &package.licence, &use};
  std::size_t count = 0;
  for (bool more = true; more; ++count) {
    if (count == fields.size()) return false;
    const std::size_t tab = line.find('\t');
    more = tab != std::string_view::npos;
    *fields[count] = line.substr(0, tab);
    if (more) line.remove_prefix(tab + 1);
  }
  return count == fields.size() || count + 1 == fields.size();
}

auto Key(const Package& package) { return std::tie(package.name, package.architecture); }

}  // namespace

std::string EscapeAll(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kAlnum.find(c) != std::string_view::npos || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append("%").append({kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return out;
}

std::string Package::purl() const {
  return "pkg:deb/debian/" + EscapeAll(name) + "@" + EscapeAll(version) +
         "?arch=" + EscapeAll(architecture);
}

Result<std::vector<Package>> ParsePackages(std::string_view text) {
  std::vector<Package> packages;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const std::string where = "line " + std::to_string(number) + ": ";
    Package package;
    std::string use = "linked";
    if (!SplitLine(line, package, use)) {
      return InvalidArgument(where +
                             "expected name, version, architecture, SHA-256, licence and "
                             "perhaps linked or headers, with a tab between them, got \"" +
                             Printable(line) + "\"");
    }
    if (const auto fault = FaultOf(package)) {
      return InvalidArgument(where + std::string(*fault) + " is wrong in \"" + Printable(line) +
                             "\"");
    }
    if (use != "linked" && use != "headers") {
      return InvalidArgument(where + "expected linked or headers, got \"" + Printable(use) + "\"");
    }
    package.is_linked = use == "linked";
    packages.push_back(std::move(package));
  }
  std::ranges::sort(packages, [](const Package& a, const Package& b) { return Key(a) < Key(b); });
  const auto twice = std::ranges::adjacent_find(
      packages, [](const Package& a, const Package& b) { return Key(a) == Key(b); });
  if (twice != packages.end()) return InvalidArgument(twice->name + " is there twice");
  return packages;
}

std::vector<std::string> LicenceReferences(std::string_view expression) {
  std::vector<std::string> references;
  for (const std::string_view token : Tokens(expression)) {
    if (token.starts_with("LicenseRef-")) references.emplace_back(token);
  }
  return references;
}

}  // namespace pgw::image
