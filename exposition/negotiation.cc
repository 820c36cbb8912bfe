#include "exposition/negotiation.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "exposition/number.h"

namespace pgw {
namespace {

constexpr std::string_view kProtobufType = "application/vnd.google.protobuf";
constexpr std::string_view kProtobufMessage = "io.prometheus.client.MetricFamily";

// --- Accept. Clauses are split as the Go libraries split them: at every comma and semicolon, with
// no regard to quotes, trimming spaces only.

// What stands before the next `separator`; `rest` is left with what follows it.
std::string_view NextElement(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  const std::string_view element = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return element;
}

std::string_view TrimSpaces(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

struct AcceptClause {
  std::string_view type;
  std::string_view subtype;
  std::string_view escaping;
  std::string_view version;
  std::string_view proto;
  std::string_view encoding;
  float q = 1;
  std::size_t position = 0;  // in the header

  bool operator<(const AcceptClause& other) const {
    const auto rank = [](const AcceptClause& clause) {
      return std::tuple(-clause.q, clause.type == "*", clause.subtype == "*", clause.position);
    };
    return rank(*this) < rank(other);
  }
};

// Single precision, as upstream: so near-equal values are equal and keep the header's order. What
// is not a number counts as 0.
float ParseQuality(std::string_view text) {
  constexpr double kMax = std::numeric_limits<float>::max();
  const double q = ParseFloat(text).value_or(0);
  return q == q ? static_cast<float>(std::clamp(q, -kMax, kMax)) : 0.0F;
}

void ReadParameter(std::string_view parameter, AcceptClause& clause) {
  const std::string_view name = TrimSpaces(NextElement(parameter, '='));
  // Without a value, or with a second equals sign that has something behind it: ignored.
  if (parameter.empty()) return;
  const std::string_view raw_value = NextElement(parameter, '=');
  if (!parameter.empty()) return;
  const std::string_view value = TrimSpaces(raw_value);
  if (name == "q") {
    clause.q = ParseQuality(raw_value);
  } else if (name == "escaping") {
    clause.escaping = value;
  } else if (name == "version") {
    clause.version = value;
  } else if (name == "proto") {
    clause.proto = value;
  } else if (name == "encoding") {
    clause.encoding = value;
  }
}

std::optional<AcceptClause> ParseClause(std::string_view text) {
  std::string_view parameters = TrimSpaces(text);
  std::string_view media_type = NextElement(parameters, ';');
  AcceptClause clause;
  clause.type = TrimSpaces(NextElement(media_type, '/'));
  if (media_type.empty()) {
    if (clause.type != "*") return std::nullopt;
    clause.subtype = "*";
  } else {
    clause.subtype = TrimSpaces(NextElement(media_type, '/'));
    if (!media_type.empty()) return std::nullopt;
  }
  while (!parameters.empty()) ReadParameter(NextElement(parameters, ';'), clause);
  return clause;
}

std::optional<Escaping> ParseEscaping(std::string_view text) {
  for (const Escaping escaping :
       {Escaping::kUnderscores, Escaping::kDots, Escaping::kValues, Escaping::kAllowUtf8}) {
    if (text == EscapingName(escaping)) return escaping;
  }
  return std::nullopt;
}

std::optional<ExpositionFormat> FormatOf(const AcceptClause& clause) {
  if (clause.type == "application" && clause.subtype == "vnd.google.protobuf" &&
      clause.proto == kProtobufMessage) {
    if (clause.encoding == "delimited") return ExpositionFormat::kProtobuf;
    if (clause.encoding == "text") return ExpositionFormat::kProtobufText;
    if (clause.encoding == "compact-text") return ExpositionFormat::kProtobufCompact;
  }
  if (clause.type == "text" && clause.subtype == "plain" &&
      (clause.version.empty() || clause.version == "0.0.4")) {
    return ExpositionFormat::kText;
  }
  return std::nullopt;
}

// --- Accept-Encoding: tokens with an optional quality; reading stops at the first oddity and what
// was read until there counts.

bool IsHttpTokenChar(unsigned char c) {
  constexpr std::string_view kSeparators = "()<>@,;:\\\"/[]?={}";
  return c > 0x20 && c < 0x7f && kSeparators.find(static_cast<char>(c)) == std::string_view::npos;
}

bool ConsumePrefix(std::string_view& rest, std::string_view prefix) {
  if (rest.substr(0, prefix.size()) != prefix) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

void SkipBlanks(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
}

// 0, 1, 0.25, 1.: as upstream reads it, which lets 1.5 pass.
std::optional<double> ConsumeQuality(std::string_view& rest) {
  if (rest.empty() || (rest[0] != '0' && rest[0] != '1')) return std::nullopt;
  double q = rest[0] - '0';
  rest.remove_prefix(1);
  if (!ConsumePrefix(rest, ".")) return q;
  for (double unit = 0.1; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; unit /= 10) {
    q += unit * (rest[0] - '0');
    rest.remove_prefix(1);
  }
  return q;
}

struct EncodingClause {
  std::string_view name;
  double q = 1;
};

std::vector<EncodingClause> ParseAcceptEncoding(std::string_view rest) {
  std::vector<EncodingClause> clauses;
  do {
    SkipBlanks(rest);
    std::size_t length = 0;
    while (length < rest.size() && (IsHttpTokenChar(rest[length]) || rest[length] == '/')) ++length;
    if (length == 0) break;
    EncodingClause clause{rest.substr(0, length)};
    rest.remove_prefix(length);
    SkipBlanks(rest);
    if (ConsumePrefix(rest, ";")) {
      SkipBlanks(rest);
      if (!ConsumePrefix(rest, "q=")) break;
      const std::optional<double> q = ConsumeQuality(rest);
      if (!q) break;
      clause.q = *q;
    }
    clauses.push_back(clause);
    SkipBlanks(rest);
  } while (ConsumePrefix(rest, ","));
  return clauses;
}

// --- Content-Type: a media type with parameters, read as strictly as Go's mime.ParseMediaType.
// RFC 2231 pieces (name*0=…) are not put together.

bool IsMimeTokenChar(unsigned char c) {
  constexpr std::string_view kSpecials = "()<>@,;:\\\"/[]?=";
  return c > 0x20 && c < 0x7f && kSpecials.find(static_cast<char>(c)) == std::string_view::npos;
}

bool IsMimeSpecial(char c) {
  constexpr std::string_view kSpecials = "()<>@,;:\\\"/[]?=";
  return kSpecials.find(c) != std::string_view::npos;
}

std::string ToLowerAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void SkipSpace(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\n\v\f\r"), rest.size()));
}

std::string_view ConsumeMimeToken(std::string_view& rest) {
  std::size_t length = 0;
  while (length < rest.size() && IsMimeTokenChar(rest[length])) ++length;
  const std::string_view token = rest.substr(0, length);
  rest.remove_prefix(length);
  return token;
}

// A token or a quoted string; nothing if there is neither.
std::optional<std::string> ConsumeMimeValue(std::string_view& rest) {
  if (rest.empty() || rest[0] != '"') {
    const std::string_view token = ConsumeMimeToken(rest);
    if (token.empty()) return std::nullopt;
    return std::string(token);
  }
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (c == '\r' || c == '\n') return std::nullopt;
    // Other backslashes stand for themselves.
    if (c == '\\' && i + 1 < rest.size() && IsMimeSpecial(rest[i + 1])) ++i;
    value.push_back(rest[i]);
  }
  return std::nullopt;
}

using MimeParameters = std::map<std::string, std::string>;

// The parameters from the first semicolon on; nothing if they are malformed.
std::optional<MimeParameters> ParseMimeParameters(std::string_view rest) {
  MimeParameters parameters;
  while (true) {
    SkipSpace(rest);
    if (rest.empty()) return parameters;
    if (!ConsumePrefix(rest, ";")) return std::nullopt;
    SkipSpace(rest);
    if (rest.empty()) return parameters;  // a semicolon at the end
    std::string name = ToLowerAscii(ConsumeMimeToken(rest));
    SkipSpace(rest);
    if (name.empty() || !ConsumePrefix(rest, "=")) return std::nullopt;
    SkipSpace(rest);
    std::optional<std::string> value = ConsumeMimeValue(rest);
    if (!value) return std::nullopt;
    const auto [at, added] = parameters.try_emplace(std::move(name), *value);
    if (!added && at->second != *value) return std::nullopt;
  }
}

}  // namespace

Negotiated NegotiateFormat(std::string_view accept) {
  std::vector<AcceptClause> clauses;
  while (!accept.empty()) {
    if (auto clause = ParseClause(NextElement(accept, ','))) {
      clause->position = clauses.size();
      clauses.push_back(*clause);
    }
  }
  std::sort(clauses.begin(), clauses.end());

  Negotiated negotiated;
  for (const AcceptClause& clause : clauses) {
    // Even a clause that matches nothing sets the escaping of those after it.
    negotiated.escaping = ParseEscaping(clause.escaping).value_or(negotiated.escaping);
    if (const auto format = FormatOf(clause)) {
      negotiated.format = *format;
      break;
    }
  }
  return negotiated;
}

std::string ContentType(const Negotiated& negotiated) {
  std::string out;
  const auto protobuf = [&out](std::string_view encoding) {
    out.append(kProtobufType).append("; proto=").append(kProtobufMessage);
    out.append("; encoding=").append(encoding);
  };
  switch (negotiated.format) {
    case ExpositionFormat::kText:
      out = "text/plain; version=0.0.4; charset=utf-8";
      break;
    case ExpositionFormat::kProtobuf:
      protobuf("delimited");
      break;
    case ExpositionFormat::kProtobufText:
      protobuf("text");
      break;
    case ExpositionFormat::kProtobufCompact:
      protobuf("compact-text");
      break;
  }
  assert(!out.empty());
  out.append("; escaping=").append(EscapingName(negotiated.escaping));
  return out;
}

bool NegotiateGzip(std::string_view accept_encoding) {
  const std::vector<EncodingClause> clauses = ParseAcceptEncoding(accept_encoding);
  const auto best = [&clauses](std::string_view offer) {
    double q = -1;
    for (const EncodingClause& clause : clauses) {
      if (clause.name == "*" || clause.name == offer) q = std::max(q, clause.q);
    }
    return q;
  };
  // Not acceptable at all (q=0) means identity, too: upstream logs an error and sends plain text.
  const double gzip = best("gzip");
  return gzip > 0 && gzip > best("identity");
}

bool IsDelimitedProtobuf(std::string_view content_type) {
  const std::size_t base_size = std::min(content_type.find(';'), content_type.size());
  std::string_view base = content_type.substr(0, base_size);
  SkipSpace(base);
  base = base.substr(0, base.find_last_not_of(" \t\n\v\f\r") + 1);
  if (ToLowerAscii(base) != kProtobufType) return false;
  const auto parameters = ParseMimeParameters(content_type.substr(base_size));
  if (!parameters) return false;
  const auto is = [&parameters](const char* name, std::string_view value) {
    const auto at = parameters->find(name);
    return at != parameters->end() && at->second == value;
  };
  return is("encoding", "delimited") && is("proto", kProtobufMessage);
}

}  // namespace pgw
