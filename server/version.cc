#include "server/version.h"

#include "server/build_info.h"

namespace pgw {
namespace {

constexpr char kTags[] = "unknown";

std::string Platform() { return std::string(kGoOs) + "/" + kGoArch; }

}  // namespace

std::string VersionText() {
  return "pushgateway, version " + std::string(kVersion) + " (branch: " + kBranch +
         ", revision: " + kRevision + ")\n" +          //
         "  build user:       \n" +                    //
         "  build date:       " + kBuildDate + "\n" +  //
         "  go version:       \n" +                    //
         "  platform:         " + Platform() + "\n" +  //
         "  tags:             " + kTags + "\n";
}

std::string VersionInfo() {
  return "(version=" + std::string(kVersion) + ", branch=" + kBranch + ", revision=" + kRevision +
         ")";
}

std::string BuildContext() {
  return "(go=, platform=" + Platform() + ", user=, date=" + kBuildDate + ", tags=" + kTags + ")";
}

std::vector<std::pair<std::string, std::string>> BuildInformation() {
  return {{"branch", kBranch}, {"buildDate", kBuildDate}, {"buildUser", ""},
          {"goVersion", ""},   {"revision", kRevision},   {"version", kVersion}};
}

BuildLabels BuildInfoLabels() {
  return {.branch = kBranch,
          .goarch = kGoArch,
          .goos = kGoOs,
          .goversion = "",
          .revision = kRevision,
          .tags = kTags,
          .version = kVersion};
}

}  // namespace pgw
