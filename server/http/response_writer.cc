#include "server/http/response_writer.h"

#include <charconv>

namespace pgw::http {
namespace {

void AppendNumber(std::string& out, std::uint64_t value, int base = 10) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
  out.append(digits, end);
}

void AppendSafe(std::string& out, std::string_view text) {
  const std::size_t start = out.size();
  out.append(text);
  if (text.find_first_of("\r\n") == std::string_view::npos) return;
  for (std::size_t i = start; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n') out[i] = ' ';
  }
}

// `400 Bad Request`; Go says `status code 299` for codes without a phrase.
void AppendStatus(std::string& out, int status) {
  AppendNumber(out, static_cast<std::uint64_t>(status));
  out.push_back(' ');
  if (const std::string_view phrase = ReasonPhrase(status); !phrase.empty()) {
    out.append(phrase);
  } else {
    out.append("status code ");
    AppendNumber(out, static_cast<std::uint64_t>(status));
  }
}

}  // namespace

ResponsePlan PlanResponse(const Response& response, const RequestLine& request, bool keep_alive) {
  ResponsePlan plan;
  plan.keep_alive = keep_alive && !response.close;
  const int status = response.status;
  if (status < 200 || status == 204 || status == 304) return plan;
  plan.send_body = request.method != "HEAD";
  if (response.stream == nullptr) {
    plan.form = BodyForm::kLength;
    plan.length = response.body.size();
  } else if (response.stream_length) {
    plan.form = BodyForm::kLength;
    plan.length = *response.stream_length;
  } else if (request.version_minor != 0) {
    plan.form = BodyForm::kChunked;
  } else {
    plan.form = BodyForm::kUntilEnd;
    if (plan.send_body) plan.keep_alive = false;
  }
  return plan;
}

void AppendResponseHead(std::string& out, const Response& response, const ResponsePlan& plan,
                        int version_minor, std::string_view date) {
  out.append(version_minor == 0 ? "HTTP/1.0 " : "HTTP/1.1 ");
  AppendStatus(out, response.status);
  out.append("\r\n");
  for (const auto& [name, value] : response.headers) {
    AppendSafe(out, name);
    out.append(": ");
    AppendSafe(out, value);
    out.append("\r\n");
  }
  out.append("Date: ").append(date).append("\r\n");
  if (plan.form == BodyForm::kLength) {
    out.append("Content-Length: ");
    AppendNumber(out, plan.length);
    out.append("\r\n");
  } else if (plan.form == BodyForm::kChunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  // Only what the version does not mean anyway.
  if (!plan.keep_alive && version_minor != 0) {
    out.append("Connection: close\r\n");
  } else if (plan.keep_alive && version_minor == 0) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

void AppendRefusal(std::string& out, const Refusal& refusal) {
  std::string line;
  AppendStatus(line, refusal.status);
  if (!refusal.detail.empty()) line.append(": ").append(refusal.detail);
  out.append("HTTP/1.1 ").append(line);
  out.append("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n");
  out.append(refusal.body.empty() ? std::string_view(line) : refusal.body);
}

void AppendChunkHead(std::string& out, std::uint64_t size) {
  AppendNumber(out, size, 16);
  out.append("\r\n");
}

std::string HttpDate(std::time_t seconds) {
  // strftime would speak the language of the locale.
  static constexpr char kDays[] = "SunMonTueWedThuFriSat";
  static constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  const auto two = [](std::string& out, int value) {
    out.push_back(static_cast<char>('0' + value / 10));
    out.push_back(static_cast<char>('0' + value % 10));
  };
  std::string out;
  out.reserve(29);
  out.append(kDays + 3 * utc.tm_wday, 3).append(", ");
  two(out, utc.tm_mday);
  out.append(" ").append(kMonths + 3 * utc.tm_mon, 3).append(" ");
  out.append(std::to_string(1900 + utc.tm_year)).append(" ");
  two(out, utc.tm_hour);
  out.push_back(':');
  two(out, utc.tm_min);
  out.push_back(':');
  two(out, utc.tm_sec);
  out.append(" GMT");
  return out;
}

}  // namespace pgw::http
