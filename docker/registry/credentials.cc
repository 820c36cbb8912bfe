#include "docker/registry/credentials.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "docker/file.h"
#include "docker/json.h"
#include "docker/printable.h"
#include "docker/registry/subprocess.h"

namespace pgw::image {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::chrono::seconds kHelperTimeout(60);  // some ask a person
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Under which names Docker's tools have stored a registry.
std::vector<std::string> KeysOf(std::string_view registry) {
  const std::string host(registry);
  return {host, "https://" + host, "https://" + host + "/", "https://" + host + "/v1/",
          "https://" + host + "/v2/"};
}

Result<std::optional<Credentials>> AskHelper(std::string_view name, std::string_view registry) {
  // The name becomes a program's: no paths.
  const bool good = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!good) return InvalidArgument("\"" + Printable(name) + "\" is no credential helper's name");
  const std::string program = "docker-credential-" + std::string(name);
  const Result<ProcessOutput> output =
      RunProcess({program, "get"}, std::string(registry) + "\n", kHelperTimeout);
  if (!output) return output.error();
  if (output->exit_code != 0) {
    // The text that all helpers print for a registry they do not know.
    if (output->text.find("credentials not found") != std::string::npos) {
      return std::optional<Credentials>();
    }
    return Error{Code::kUnavailable, program + ": exit code " + std::to_string(output->exit_code)};
  }
  const Result<Json> answer = ParseJson(output->text);
  if (!answer) return InvalidArgument(program + ": answers no JSON");
  Credentials found;
  found.user = StringMember(*answer, "Username");
  found.password = StringMember(*answer, "Secret");
  if (found.user == "<token>") {
    found.identity_token = std::move(found.password);
    found.user.clear();
    found.password.clear();
  }
  return std::optional(std::move(found));
}

Result<std::optional<Credentials>> ReadAuth(const Json& auth, const std::string& where) {
  Credentials found;
  found.identity_token = StringMember(auth, "identitytoken");
  found.user = StringMember(auth, "username");
  found.password = StringMember(auth, "password");
  if (const std::string_view encoded = StringMember(auth, "auth"); !encoded.empty()) {
    const std::optional<std::string> text = DecodeBase64(encoded);
    const std::size_t colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return InvalidArgument(where + ": \"auth\" is not user:password in base64");
    }
    found.user = text->substr(0, colon);
    found.password = text->substr(colon + 1);
    // Old versions of Docker pad with zeros.
    found.password.erase(std::min(found.password.find('\0'), found.password.size()));
  }
  if (found.user.empty() && found.identity_token.empty()) return std::optional<Credentials>();
  return std::optional(std::move(found));
}

}  // namespace

CredentialsPlace CredentialsPlace::FromEnvironment() {
  namespace fs = std::filesystem;
  if (const char* const folder = std::getenv("DOCKER_CONFIG"); folder != nullptr && *folder != 0) {
    return {(fs::path(folder) / "config.json").string()};
  }
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home == 0) return {};
  return {(fs::path(home) / ".docker" / "config.json").string()};
}

Result<std::optional<Credentials>> FindCredentials(const CredentialsPlace& place,
                                                   std::string_view registry) {
  std::error_code error;
  if (place.config_file.empty() || !std::filesystem::exists(place.config_file, error)) {
    return std::optional<Credentials>();
  }
  const Result<std::string> text = ReadFile(place.config_file, kFileBytesMax);
  if (!text) return text.error();
  const Result<Json> config = ParseJson(*text);
  if (!config) return InvalidArgument(place.config_file + ": " + config.error().message);

  const std::vector<std::string> keys = KeysOf(registry);
  const Json* const helpers = FindMember(*config, "credHelpers");
  const Json* const auths = FindMember(*config, "auths");
  for (const std::string& key : keys) {
    const std::string_view helper = helpers == nullptr ? "" : StringMember(*helpers, key);
    if (!helper.empty()) return AskHelper(helper, registry);
  }
  for (const std::string& key : keys) {
    const Json* const auth = auths == nullptr ? nullptr : FindMember(*auths, key);
    if (auth == nullptr) continue;
    Result<std::optional<Credentials>> found =
        ReadAuth(*auth, place.config_file + ": auths." + key);
    // With a store, Docker leaves an empty entry here.
    if (!found || found->has_value()) return found;
  }
  if (const std::string_view store = StringMember(*config, "credsStore"); !store.empty()) {
    return AskHelper(store, registry);
  }
  return std::optional<Credentials>();
}

std::string EncodeBase64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t size = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < size ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out.push_back(k <= size ? kAlphabet[group >> (18 - 6 * k) & 63] : '=');
    }
  }
  return out;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return out;
}

}  // namespace pgw::image
