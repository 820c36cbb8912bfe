// Who we are at a registry, from Docker's configuration file. Knows JSON and files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

struct Credentials {
  std::string user;
  std::string password;
  std::string identity_token;  // an OAuth refresh token instead of both
};

// What of the environment matters.
struct CredentialsPlace {
  std::string config_file;  // Docker's config.json; may be missing

  // $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
  static CredentialsPlace FromEnvironment();
};

// What the file says for a registry: credHelpers (a program docker-credential-NAME), auths,
// credsStore. Nothing where it says nothing. Errors never contain a secret.
Result<std::optional<Credentials>> FindCredentials(const CredentialsPlace& place,
                                                   std::string_view registry);

std::string EncodeBase64(std::string_view bytes);
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace pgw::image
