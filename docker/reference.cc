#include "docker/reference.h"

#include <algorithm>

namespace pgw::image {
namespace {

bool IsLowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsAlnum(char c) { return IsLowerAlnum(c) || (c >= 'A' && c <= 'Z'); }

// [a-z0-9]+ joined by ".", "_", "__" or dashes.
bool IsPathComponent(std::string_view text) {
  if (text.empty() || !IsLowerAlnum(text.front()) || !IsLowerAlnum(text.back())) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (IsLowerAlnum(text[i])) {
      ++i;
      continue;
    }
    const std::size_t end =
        std::min(text.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789", i), text.size());
    const std::string_view joint = text.substr(i, end - i);
    const bool dashes = joint.find_first_not_of('-') == std::string_view::npos;
    if (joint != "." && joint != "_" && joint != "__" && !dashes) return false;
    i = end;
  }
  return true;
}

bool IsRepository(std::string_view text) {
  if (text.size() > 255) return false;
  while (true) {
    const std::size_t slash = text.find('/');
    if (!IsPathComponent(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What tells a registry from the first part of a repository is a dot, a port, or localhost.
bool IsRegistry(std::string_view text) {
  if (text.size() > 255) return false;
  std::string_view host = text;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    const std::string_view rest = text.substr(end + 1);
    return text.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.") ==
               std::string_view::npos &&
           (rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1))));
  }
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    if (!IsPort(text.substr(colon + 1))) return false;
    host = text.substr(0, colon);
  } else if (host != "localhost" && host.find('.') == std::string_view::npos) {
    return false;
  }
  return !host.empty() && IsAlnum(host.front()) && IsAlnum(host.back()) &&
         std::ranges::all_of(host, [](char c) { return IsAlnum(c) || c == '.' || c == '-'; });
}

}  // namespace

bool IsValidTag(std::string_view text) {
  if (text.empty() || text.size() > 128 || text.front() == '.' || text.front() == '-') return false;
  return std::ranges::all_of(text,
                             [](char c) { return IsAlnum(c) || c == '.' || c == '-' || c == '_'; });
}

Result<Reference> ParseName(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !IsRegistry(text.substr(0, slash))) {
    return InvalidArgument("\"" + std::string(text) +
                           "\" names no registry; expected registry/repository, such as "
                           "registry.example/team/pushgateway-ttl");
  }
  if (!IsRepository(text.substr(slash + 1))) {
    return InvalidArgument("\"" + std::string(text.substr(slash + 1)) +
                           "\" is no repository's name (lower-case letters, digits and single "
                           ". _ - between them)");
  }
  return Reference{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1)), ""};
}

Result<Reference> ParseReference(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || slash == std::string_view::npos || colon < slash) {
    return InvalidArgument("\"" + std::string(text) +
                           "\" has no tag; expected registry/repository:tag");
  }
  Result<Reference> reference = ParseName(text.substr(0, colon));
  if (!reference) return reference;
  reference->tag = text.substr(colon + 1);
  if (!IsValidTag(reference->tag)) {
    return InvalidArgument("\"" + reference->tag +
                           "\" is no tag (at most 128 of letters, digits, . _ -)");
  }
  return reference;
}

}  // namespace pgw::image
