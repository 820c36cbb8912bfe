#include "docker/pack/image_config.h"

#include <algorithm>
#include <charconv>

namespace pgw::image {
namespace {

JsonArray ToArray(const std::vector<std::string>& texts) {
  JsonArray array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

bool IsNumber(std::string_view text, std::uint64_t max) {
  std::uint64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  return error == std::errc() && end == last && number <= max && !text.empty();
}

// Numbers alone: a scratch image has no /etc/passwd that could be relied on, and k0s'
// runAsNonRoot refuses names.
std::string ReadUser(const Field& field) {
  constexpr std::uint64_t kIdMax = 4294967294;
  std::string user = field.NonEmptyText();
  const std::size_t colon = user.find(':');
  const std::string_view text = user;
  const bool good = IsNumber(text.substr(0, colon), kIdMax) &&
                    (colon == std::string::npos || IsNumber(text.substr(colon + 1), kIdMax));
  if (!good) field.Fail("expected a number, or two with a colon between them");
  return user;
}

JsonObject ReadPorts(const Field& field) {
  std::vector<std::string> ports = field.Texts();
  std::ranges::sort(ports);
  JsonObject object;
  for (const std::string& port : ports) {
    const std::size_t slash = port.find('/');
    const std::string protocol = slash == std::string::npos ? "tcp" : port.substr(slash + 1);
    const std::string number = port.substr(0, slash);
    if (!IsNumber(number, 65535) ||
        (protocol != "tcp" && protocol != "udp" && protocol != "sctp")) {
      field.Fail(
          std::string("\"").append(port).append("\" is no port; expected such as \"9091/tcp\""));
    }
    object[std::string(number).append("/").append(protocol)] = JsonObject();
  }
  return object;
}

std::string ReadAbsolutePath(const Field& field) {
  std::string path = field.NonEmptyText();
  if (!path.starts_with('/')) field.Fail("expected an absolute path");
  return path;
}

JsonArray ReadEnvironment(const Field& field) {
  const std::vector<std::string> variables = field.Texts();
  for (const std::string& variable : variables) {
    if (variable.find('=') == std::string::npos || variable.front() == '=') {
      field.Fail("\"" + variable + "\" is not NAME=VALUE");
    }
  }
  return ToArray(variables);
}

JsonArray ReadEntrypoint(const Field& field) {
  const std::vector<std::string> words = field.Texts();
  if (words.empty() || !words.front().starts_with('/')) {
    field.Fail("expected an array that begins with an absolute path");
  }
  return ToArray(words);
}

// Docker's form; OCI has none.
JsonObject ReadHealthcheck(const Field& field) {
  ObjectField fields = field.Object();
  JsonObject check;
  if (const auto test = fields.Require("Test")) {
    const std::vector<std::string> words = test->Texts();
    const bool none = words.size() == 1 && words.front() == "NONE";
    if (!none && (words.size() < 2 || (words.front() != "CMD" && words.front() != "CMD-SHELL"))) {
      test->Fail(R"(expected ["CMD", program, …], ["CMD-SHELL", command] or ["NONE"])");
    }
    check["Test"] = ToArray(words);
  }
  for (const std::string_view key : {"Interval", "Timeout", "StartPeriod", "StartInterval"}) {
    if (const auto duration = fields.Find(key)) {
      const std::int64_t nanoseconds = duration->DurationNanoseconds();
      if (nanoseconds < 1'000'000) duration->Fail("must not be shorter than 1ms");
      check[key] = nanoseconds;
    }
  }
  if (const auto retries = fields.Find("Retries")) check["Retries"] = retries->Integer(1, 1000);
  fields.RejectUnknown();
  return check;
}

JsonObject ReadVolumes(const Field& field) {
  std::vector<std::string> paths;
  for (const Field& each : field.Array()) paths.push_back(ReadAbsolutePath(each));
  std::ranges::sort(paths);
  JsonObject object;
  for (const std::string& path : paths) object[path] = JsonObject();
  return object;
}

}  // namespace

JsonObject ReadImageConfig(const Field& field) {
  ObjectField fields = field.Object();
  JsonObject config;
  if (const auto user = fields.Find("User")) config["User"] = ReadUser(*user);
  if (const auto ports = fields.Find("ExposedPorts")) config["ExposedPorts"] = ReadPorts(*ports);
  if (const auto env = fields.Find("Env")) config["Env"] = ReadEnvironment(*env);
  if (const auto entry = fields.Find("Entrypoint")) config["Entrypoint"] = ReadEntrypoint(*entry);
  if (const auto words = fields.Find("Cmd")) config["Cmd"] = ToArray(words->Texts());
  if (const auto check = fields.Find("Healthcheck"))
    config["Healthcheck"] = ReadHealthcheck(*check);
  if (const auto volumes = fields.Find("Volumes")) config["Volumes"] = ReadVolumes(*volumes);
  if (const auto folder = fields.Find("WorkingDir"))
    config["WorkingDir"] = ReadAbsolutePath(*folder);
  if (const auto signal = fields.Find("StopSignal")) config["StopSignal"] = signal->NonEmptyText();
  fields.RejectUnknown();
  if (!config.contains("Entrypoint") && !config.contains("Cmd")) {
    fields.Fail("neither Entrypoint nor Cmd: nothing could be run");
  }
  return config;
}

}  // namespace pgw::image
