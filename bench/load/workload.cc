#include "bench/load/workload.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "bench/load/scrape_scanner.h"

namespace pgw::load {
namespace {

// Numbers are padded with spaces, which every parser of the format skips.
constexpr std::size_t kSequenceWidth = 10;

struct Body {
  std::string text;
  std::vector<std::size_t> sequence_at;
  std::vector<std::size_t> changing_at;
};

void AddSeries(Body& body, std::string_view family, std::string_view labels) {
  body.text.append(family).append(labels).append(1, ' ');
  body.sequence_at.push_back(body.text.size());
  body.text.append(kSequenceWidth, ' ').append(1, '\n');
}

RequestTemplate Assemble(const RequestTarget& target, Body body) {
  RequestTemplate form;
  form.bytes = target.method + " " + target.prefix + "/metrics/job/" + std::string(kFamily) + "/" +
               std::string(kGroupLabel) + "/" + target.tag;
  form.group_at = form.bytes.size();
  form.bytes.append(kGroupDigits, '0');
  form.bytes += " HTTP/1.1\r\nHost: " + target.host +
                "\r\nContent-Length: " + std::to_string(body.text.size()) + "\r\n";
  if (target.close) form.bytes += "Connection: close\r\n";
  form.bytes += "\r\n";
  for (std::size_t& at : body.sequence_at) at += form.bytes.size();
  for (std::size_t& at : body.changing_at) at += form.bytes.size();
  form.bytes += body.text;
  form.series = static_cast<std::uint32_t>(body.sequence_at.size());
  form.sequence_at = std::move(body.sequence_at);
  form.changing_at = std::move(body.changing_at);
  return form;
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Where a sample's value begins and ends, or nothing if the line is none.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::optional<Span> FindValue(std::string_view line) {
  std::size_t at = 0;
  bool quoted = false;
  bool braced = false;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{') {
      braced = true;
    } else if (c == '}') {
      braced = false;
    } else if (IsBlank(c) && !braced) {
      // A name may stand apart from its labels.
      const std::size_t next = line.find_first_not_of(" \t", at);
      if (next == std::string_view::npos) return std::nullopt;
      if (line[next] != '{') break;
    }
  }
  const std::size_t begin = line.find_first_not_of(" \t", at);
  if (begin == std::string_view::npos || begin == 0) return std::nullopt;
  return Span{begin, std::min(line.find_first_of(" \t\r", begin), line.size())};
}

// The last digit before an exponent, if it is a plain number.
std::optional<std::size_t> ChangingDigit(std::string_view value) {
  const std::string_view number = value.substr(0, value.find_first_of("eE"));
  if (number.empty() || number.find_first_not_of("+-.0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::size_t at = number.find_last_of("0123456789");
  if (at == std::string_view::npos) return std::nullopt;
  return at;
}

}  // namespace

RequestTemplate SyntheticTemplate(const RequestTarget& target, std::size_t series,
                                  std::size_t families) {
  series = std::max<std::size_t>(series, 1);
  families = std::clamp<std::size_t>(families, 1, series);
  Body body;
  for (std::size_t family = 0; family < families; ++family) {
    std::string name(kFamily);
    if (family != 0) name += "_" + std::to_string(family);
    for (std::size_t n = family; n < series; n += families) {
      AddSeries(body, name, "{n=\"" + std::to_string(n) + "\"}");
    }
  }
  return Assemble(target, std::move(body));
}

Result<RequestTemplate> ReplayTemplate(const RequestTarget& target, std::string_view name,
                                       std::string_view text, bool change) {
  Body body;
  std::size_t number = 0;
  std::size_t samples = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) continue;
    if (line[first] == '#') {
      body.text.append(line).append(1, '\n');
      continue;
    }
    const std::optional<Span> value = FindValue(line);
    if (!value) {
      return InvalidArgument(std::string(name) + " line " + std::to_string(number) +
                             ": expected a sample, a comment or nothing");
    }
    const std::string_view digits = line.substr(value->begin, value->end - value->begin);
    if (const auto digit = ChangingDigit(digits); change && digit) {
      body.changing_at.push_back(body.text.size() + value->begin + *digit);
    }
    body.text.append(line.substr(0, value->end)).append(1, '\n');
    ++samples;
  }
  if (samples == 0) return InvalidArgument(std::string(name) + ": has no samples");
  AddSeries(body, kFamily, "");
  return Assemble(target, std::move(body));
}

std::string ScrapeRequest(const RequestTarget& target, bool gzip) {
  return "GET " + target.prefix + "/metrics HTTP/1.1\r\nHost: " + target.host +
         "\r\nAccept: text/plain;version=0.0.4\r\nAccept-Encoding: " +
         (gzip ? "gzip" : "identity") + "\r\n\r\n";
}

std::string_view RequestBuffer::Render(const RequestTemplate& form, std::uint32_t group,
                                       std::uint64_t sequence) {
  if (form_ != &form) {
    form_ = &form;
    bytes_ = form.bytes;
  }
  for (std::size_t i = kGroupDigits; i-- > 0; group /= 10) {
    bytes_[form.group_at + i] = static_cast<char>('0' + group % 10);
  }
  char digits[kSequenceWidth];
  std::memset(digits, ' ', sizeof(digits));
  std::uint64_t rest = sequence;
  for (std::size_t i = kSequenceWidth; i-- > 0;) {
    digits[i] = static_cast<char>('0' + rest % 10);
    rest /= 10;
    if (rest == 0) break;
  }
  for (const std::size_t at : form.sequence_at) std::memcpy(&bytes_[at], digits, kSequenceWidth);
  for (const std::size_t at : form.changing_at) {
    bytes_[at] = static_cast<char>('0' + (form.bytes[at] - '0' + sequence) % 10);
  }
  return bytes_;
}

void RequestBuffer::Free() {
  form_ = nullptr;
  bytes_ = {};
}

}  // namespace pgw::load
