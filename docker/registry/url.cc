#include "docker/registry/url.h"

#include <algorithm>

#include "docker/printable.h"

namespace pgw::image {
namespace {

Error BadUrl(std::string_view text, std::string_view what) {
  return InvalidArgument("the URL \"" + Printable(text) + "\" " + std::string(what));
}

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

bool IsHost(std::string_view host) {
  return !host.empty() &&
         host.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
             std::string_view::npos;
}

std::string Escape(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append("%").append({kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return out;
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (is_tls() ? "443" : "80")) text += ":" + port;
  return text;
}

std::string Url::origin() const {
  std::string text = scheme + "://" + host + ":" + port;
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return text;
}

Result<Url> ParseUrl(std::string_view text) {
  const std::string_view whole = text;
  if (!IsPrintable(text)) return BadUrl(whole, "has a character that no URL may have");
  Url url;
  for (const std::string_view scheme : {"http", "https"}) {
    if (text.starts_with(std::string(scheme) + "://")) url.scheme = scheme;
  }
  if (url.scheme.empty()) return BadUrl(whole, "is neither http nor https");
  text.remove_prefix(url.scheme.size() + 3);
  text = text.substr(0, text.find('#'));
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, end);
  url.target = text.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (authority.find('@') != std::string_view::npos) return BadUrl(whole, "has a user name in it");
  std::size_t host_end = authority.rfind(':');
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return BadUrl(whole, "has an open bracket");
    url.host = authority.substr(1, bracket - 1);
    host_end = bracket + 1 < authority.size() ? bracket + 1 : std::string_view::npos;
    if (host_end != std::string_view::npos && authority[host_end] != ':')
      return BadUrl(whole, "has no port behind the bracket");
  } else {
    url.host = authority.substr(0, host_end);
  }
  url.port = host_end == std::string_view::npos ? "" : authority.substr(host_end + 1);
  if (url.port.empty()) url.port = url.is_tls() ? "443" : "80";
  if (!IsHost(url.host)) return BadUrl(whole, "has no proper host");
  if (url.port.size() > 5 || url.port.find_first_not_of("0123456789") != std::string::npos) {
    return BadUrl(whole, "has no proper port");
  }
  return url;
}

Result<Url> ResolveUrl(const Url& base, std::string_view location) {
  if (location.starts_with("//")) return ParseUrl(base.scheme + ":" + std::string(location));
  if (location.starts_with('/')) {
    if (!IsPrintable(location)) return BadUrl(location, "has a character that no URL may have");
    Url url = base;
    url.target = location.substr(0, location.find('#'));
    return url;
  }
  return ParseUrl(location);
}

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // All of it digits and dots: 127.0.0.1.example.org is somebody else.
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos &&
         std::ranges::count(host, '.') == 3;
}

std::string WithQuery(std::string target, std::string_view name, std::string_view value) {
  target += target.find('?') == std::string::npos ? '?' : '&';
  return target + Escape(name) + "=" + Escape(value);
}

}  // namespace pgw::image
