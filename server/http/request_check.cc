#include "server/http/request_check.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <limits>

#include "server/http/ascii.h"

namespace pgw::http {
namespace {

constexpr Refusal kBadRequest{};
constexpr Refusal kUnsupportedTransferEncoding{501, {}, "Unsupported transfer encoding"};

constexpr std::array<bool, 256> AlphanumericAnd(std::string_view others) {
  std::array<bool, 256> table{};
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  return table;
}

// RFC 9110 §5.6.2.
constexpr std::array<bool, 256> kTokenBytes = AlphanumericAnd("!#$%&'*+-.^_`|~");

// RFC 3986 reg-name, IP literals and ports, as Go accepts them in a Host header.
constexpr std::array<bool, 256> kHostBytes = AlphanumericAnd("!$%&()*+,-.:;=[']_~");

// What Go accepts in the authority of an absolute target: before its `@`, and behind it, where
// bytes of 0x80 and above come to.
constexpr std::array<bool, 256> kUserBytes = AlphanumericAnd("-._:~!$&'()*+,;=%@");
constexpr std::array<bool, 256> kUrlHostBytes = [] {
  std::array<bool, 256> table = AlphanumericAnd("-_.~!$&'()*+,;=:%<>\"");
  for (std::size_t c = 0x80; c < table.size(); ++c) table[c] = true;
  return table;
}();

bool AllIn(const std::array<bool, 256>& table, std::string_view text) {
  return std::ranges::all_of(text, [&](char c) { return table[static_cast<unsigned char>(c)]; });
}

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsHexDigit(char c) {
  return IsDigit(c) || (LowerAscii(c) >= 'a' && LowerAscii(c) <= 'f');
}
constexpr bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return text.substr(text.size());
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Whether `token` stands between commas and blanks, as Go looks for it: `close x` is `close`, too.
bool NamesToken(std::string_view list, std::string_view token) {
  const auto is_boundary = [](char c) { return c == ' ' || c == ',' || c == '\t'; };
  for (std::size_t i = 0; i + token.size() <= list.size(); ++i) {
    const std::size_t end = i + token.size();
    if ((i == 0 || is_boundary(list[i - 1])) && (end == list.size() || is_boundary(list[end])) &&
        EqualsIgnoringCase(list.substr(i, token.size()), token)) {
      return true;
    }
  }
  return false;
}

bool EscapesAreWellFormed(std::string_view text) {
  for (std::size_t i = text.find('%'); i != std::string_view::npos; i = text.find('%', i + 3)) {
    if (i + 2 >= text.size() || !IsHexDigit(text[i + 1]) || !IsHexDigit(text[i + 2])) return false;
  }
  return true;
}

// Why a header line whose name is no token cannot be parsed. Go reads a name with spaces, only to
// refuse it in words of its own.
Refusal RefuseHeaderName(std::string_view line) {
  const std::string_view name = line.substr(0, line.find(':'));
  const bool spaced =
      name.size() < line.size() && name.find(' ') != std::string_view::npos &&
      name.front() != ' ' &&
      std::ranges::all_of(
          name, [](char c) { return c == ' ' || kTokenBytes[static_cast<unsigned char>(c)]; });
  return spaced ? Refusal{400, "invalid header name"} : kBadRequest;
}

bool IsScheme(std::string_view text) {
  return !text.empty() && LowerAscii(text[0]) >= 'a' && LowerAscii(text[0]) <= 'z' &&
         std::ranges::all_of(text, [](char c) {
           return IsDigit(c) || (LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z') || c == '+' ||
                  c == '-' || c == '.';
         });
}

// Nothing, or a colon and digits.
bool IsOptionalPort(std::string_view text) {
  return text.empty() || (text.front() == ':' && std::ranges::all_of(text.substr(1), IsDigit));
}

// An IPv6 address as it stands between brackets, with or without a zone.
bool IsAddressLiteral(std::string_view text) {
  const std::size_t percent = text.find('%');
  if (percent != std::string_view::npos) {
    const std::string_view zone = text.substr(percent);
    if (!zone.starts_with("%25") || zone.size() == 3 || !EscapesAreWellFormed(zone)) return false;
  }
  const std::string address(text.substr(0, percent));
  in6_addr parsed{};
  return inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

// The authority without the user.
bool IsUrlHost(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.rfind(']');
    return end != std::string_view::npos && IsOptionalPort(text.substr(end + 1)) &&
           IsAddressLiteral(text.substr(1, end - 1));
  }
  if (const std::size_t colon = text.rfind(':');
      colon != std::string_view::npos && !IsOptionalPort(text.substr(colon))) {
    return false;
  }
  if (!AllIn(kUrlHostBytes, text) || !EscapesAreWellFormed(text)) return false;
  // Only what may not stand there as it is may be escaped, which Go takes for all of ASCII.
  for (std::size_t i = text.find('%'); i != std::string_view::npos; i = text.find('%', i + 3)) {
    if (text[i + 1] < '8' && text.substr(i, 3) != "%25") return false;
  }
  return true;
}

// http://user@host:80/path?query is cut down to /path?query.
bool CutAbsoluteForm(std::string_view target, std::string& storage, RequestTraits& traits) {
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos || !IsScheme(target.substr(0, colon))) return false;
  const std::string_view rest = target.substr(colon + 3);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  const std::size_t host = authority.rfind('@') + 1;  // npos + 1 is 0
  const std::string_view user = authority.substr(0, host);
  if (!AllIn(kUserBytes, user) || !EscapesAreWellFormed(user)) return false;
  traits.host = authority.substr(host);
  if (!IsUrlHost(traits.host)) return false;
  traits.target = rest.substr(end);
  if (traits.target.empty()) {
    traits.target = "/";
  } else if (traits.target.front() == '?') {
    storage.assign(1, '/').append(traits.target);
    traits.target = storage;
  }
  return true;
}

bool CheckTarget(const RequestLine& line, std::string& storage, RequestTraits& traits) {
  traits.target = line.target;
  if (line.target == "*") {
    traits.built_in = line.method == "OPTIONS" ? BuiltIn::kServerOptions : BuiltIn::kAsterisk;
    return true;
  }
  if (line.target.front() != '/') {
    if (line.method == "CONNECT") {
      traits.built_in = BuiltIn::kConnect;
      traits.host = line.target;
      return AllIn(kHostBytes, line.target);
    }
    if (!CutAbsoluteForm(line.target, storage, traits)) return false;
  }
  // The path alone: Go leaves the query undecoded, so nothing in it can be wrong.
  return EscapesAreWellFormed(traits.target.substr(0, traits.target.find('?')));
}

// The headers that decide about framing and the connection, gathered in one pass.
struct Gathered {
  const std::string_view* host = nullptr;
  const std::string_view* content_length = nullptr;
  const std::string_view* transfer_encoding = nullptr;
  const std::string_view* expect = nullptr;
  bool repeated_host = false;
  bool repeated_transfer_encoding = false;
  bool contradicting_length = false;
  bool announces_framing = false;  // a Trailer header does
  bool close = false;
  bool keep_alive = false;
};

// Whether a Trailer header announces fields that may not come after the body.
bool NamesFraming(std::string_view list) {
  return NamesToken(list, "content-length") || NamesToken(list, "transfer-encoding") ||
         NamesToken(list, "trailer");
}

Gathered Gather(std::span<const Header> headers) {
  Gathered found;
  for (const Header& header : headers) {
    switch (header.name.size()) {
      case 4:
        if (!EqualsIgnoringCase(header.name, "host")) break;
        found.repeated_host = found.host != nullptr;
        if (found.host == nullptr) found.host = &header.value;
        break;
      case 6:
        if (found.expect == nullptr && EqualsIgnoringCase(header.name, "expect")) {
          found.expect = &header.value;
        }
        break;
      case 7:
        if (EqualsIgnoringCase(header.name, "trailer"))
          found.announces_framing |= NamesFraming(header.value);
        break;
      case 10:
        if (!EqualsIgnoringCase(header.name, "connection")) break;
        found.close |= NamesToken(header.value, "close");
        found.keep_alive |= NamesToken(header.value, "keep-alive");
        break;
      case 14:
        if (!EqualsIgnoringCase(header.name, "content-length")) break;
        // Repeating the same value is harmless, and what Go lets pass.
        if (found.content_length == nullptr) found.content_length = &header.value;
        found.contradicting_length |= *found.content_length != header.value;
        break;
      case 17:
        if (!EqualsIgnoringCase(header.name, "transfer-encoding")) break;
        found.repeated_transfer_encoding = found.transfer_encoding != nullptr;
        if (found.transfer_encoding == nullptr) found.transfer_encoding = &header.value;
        break;
      default:
        break;
    }
  }
  return found;
}

// Two readers that disagree about where a body ends are how requests are smuggled: whatever
// leaves room for that is refused, never interpreted.
std::optional<Refusal> CheckFraming(const RequestLine& line, const Gathered& found,
                                    RequestTraits& traits) {
  if (found.transfer_encoding != nullptr) {
    if (found.repeated_transfer_encoding ||
        !EqualsIgnoringCase(*found.transfer_encoding, "chunked")) {
      return kUnsupportedTransferEncoding;
    }
    // HTTP/1.0 knows no chunks; a proxy of that age would forward them as something else.
    if (found.content_length != nullptr || line.version_minor == 0) return kBadRequest;
    if (found.announces_framing) return kBadRequest;
    traits.chunked = true;
    return std::nullopt;
  }
  if (found.content_length == nullptr) return std::nullopt;
  if (found.contradicting_length) return kBadRequest;
  traits.content_length = ParseContentLength(*found.content_length);
  if (!traits.content_length) return kBadRequest;
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> ParseRequestLine(std::string_view line, RequestLine& parsed) {
  const std::size_t first = line.find(' ');
  if (first == std::string_view::npos) return kBadRequest;
  const std::size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return kBadRequest;
  parsed.method = line.substr(0, first);
  parsed.target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  if (parsed.method.empty() || !AllIn(kTokenBytes, parsed.method)) return kBadRequest;
  if (version.size() != 8 || !version.starts_with("HTTP/") || !IsDigit(version[5]) ||
      version[6] != '.' || !IsDigit(version[7])) {
    return kBadRequest;
  }
  if (version[5] != '1') return Refusal{505, "unsupported protocol version"};
  // A higher minor version is a promise to be understood as 1.1 (RFC 9110 §2.5).
  parsed.version_minor = version[7] == '0' ? 0 : 1;
  if (parsed.target.empty() || std::ranges::any_of(parsed.target, IsControl)) return kBadRequest;
  return std::nullopt;
}

std::optional<Refusal> ParseHeaderLine(std::string_view line, Header& parsed) {
  std::size_t size = 0;
  while (size < line.size() && kTokenBytes[static_cast<unsigned char>(line[size])]) ++size;
  if (size == line.size()) return kBadRequest;
  parsed.name = line.substr(0, size);
  if (line[size] != ':') return RefuseHeaderName(line);
  if (size == 0) return kBadRequest;
  parsed.value = Trim(line.substr(size + 1));
  if (!IsFieldValue(parsed.value)) return kBadRequest;
  return std::nullopt;
}

bool IsFieldValue(std::string_view text) {
  bool good = true;
  for (const char c : text) good &= !IsControl(c) || c == '\t';
  return good;
}

std::optional<std::uint64_t> ParseContentLength(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, IsDigit)) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const std::uint64_t digit = static_cast<std::uint64_t>(c - '0');
    // Signed range, as Go has it.
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<Refusal> CheckRequest(const RequestLine& line, std::span<const Header> headers,
                                    std::string& storage, RequestTraits& traits) {
  traits = {};
  if (!CheckTarget(line, storage, traits)) return kBadRequest;
  const Gathered found = Gather(headers);
  if (found.repeated_host) return kBadRequest;
  if (auto refusal = CheckFraming(line, found, traits)) return refusal;
  if (found.host == nullptr) {
    if (line.version_minor != 0 && line.method != "CONNECT") {
      return Refusal{400, "missing required Host header"};
    }
  } else if (!AllIn(kHostBytes, *found.host)) {
    return Refusal{400, "malformed Host header"};
  } else if (traits.host.empty()) {
    traits.host = *found.host;
  }
  traits.keep_alive = !found.close && (line.version_minor != 0 || found.keep_alive);
  if (found.expect != nullptr && !found.expect->empty()) {
    if (NamesToken(*found.expect, "100-continue")) {
      // HTTP/1.0 has no interim answers.
      traits.expects_continue =
          line.version_minor != 0 && (traits.chunked || traits.content_length.value_or(0) > 0);
    } else if (traits.built_in == BuiltIn::kNone) {
      traits.built_in = BuiltIn::kExpectationFailed;
    }
  }
  return std::nullopt;
}

}  // namespace pgw::http
