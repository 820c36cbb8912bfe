// SPDX 2.3, https://spdx.github.io/spdx-spec/v2.3/.
#include <map>
#include <set>

#include "docker/oci.h"
#include "docker/pack/statements.h"

namespace pgw::image {
namespace {

constexpr std::string_view kUnknown = "NOASSERTION";
constexpr std::string_view kImageId = "SPDXRef-Image";

// Letters, digits, dots and dashes.
std::string SpdxId(const Package& package) {
  std::string id = "SPDXRef-Package-" + package.name + "-" + package.architecture;
  for (char& c : id) {
    if (c == '+') c = '.';  // libstdc++-14-dev; names with a dot there do not differ in that alone
  }
  return id;
}

JsonObject Checksum(std::string_view sha256) {
  return {{"algorithm", "SHA256"}, {"checksumValue", sha256}};
}

JsonObject PackageUrl(std::string_view purl) {
  return {{"referenceCategory", "PACKAGE-MANAGER"},
          {"referenceType", "purl"},
          {"referenceLocator", purl}};
}

JsonObject SpdxPackage(std::string_view id, std::string_view name, std::string_view version,
                       std::string_view licence, std::string_view sha256, std::string_view purl) {
  JsonObject object;
  object["SPDXID"] = id;
  object["name"] = name;
  object["versionInfo"] = version;
  object["downloadLocation"] = kUnknown;
  object["filesAnalyzed"] = false;
  object["checksums"] = JsonArray({Checksum(sha256)});
  object["licenseConcluded"] = kUnknown;
  object["licenseDeclared"] = licence;
  object["copyrightText"] = kUnknown;
  object["externalRefs"] = JsonArray({PackageUrl(purl)});
  return object;
}

JsonObject Relationship(std::string_view from, std::string_view type, std::string_view to) {
  return {{"spdxElementId", from}, {"relationshipType", type}, {"relatedSpdxElement", to}};
}

JsonObject ImagePackage(const StatementSubject& subject) {
  const Description& description = subject.description;
  const Reference& reference = description.reference;
  const auto licence = description.labels.find("org.opencontainers.image.licenses");
  const std::string purl = "pkg:oci/" + ImageName(reference) + "@sha256%3A" +
                           subject.manifest.hex() + "?arch=" + subject.platform.architecture +
                           "&repository_url=" + reference.name() + "&tag=" + reference.tag;
  JsonObject image = SpdxPackage(
      kImageId, ImageName(reference), reference.tag,
      licence == description.labels.end() ? kUnknown : std::string_view(licence->second),
      subject.manifest.hex(), purl);
  image["primaryPackagePurpose"] = "CONTAINER";
  return image;
}

// Licences outside SPDX's list must be explained in the document.
JsonArray ExtractedLicences(const std::vector<Package>& packages) {
  std::map<std::string, std::string> first_user;
  for (const Package& package : packages) {
    for (const std::string& reference : LicenceReferences(package.licence)) {
      first_user.emplace(reference, package.name);
    }
  }
  JsonArray licences;
  for (const auto& [reference, package] : first_user) {
    JsonObject licence;
    licence["licenseId"] = reference;
    licence["name"] = reference.substr(std::string_view("LicenseRef-").size());
    licence["extractedText"] =
        "The text stands in the copyright file of " + package + ", in the image's notices.";
    licences.emplace_back(std::move(licence));
  }
  return licences;
}

}  // namespace

std::string ImageName(const Reference& reference) {
  return reference.repository.substr(reference.repository.rfind('/') + 1);
}

JsonObject MakeSpdxDocument(const StatementSubject& subject, const std::vector<Package>& packages) {
  const Description& description = subject.description;
  JsonObject document;
  document["spdxVersion"] = "SPDX-2.3";
  document["dataLicense"] = "CC0-1.0";
  document["SPDXID"] = "SPDXRef-DOCUMENT";
  document["name"] = description.reference.text() + " " + subject.platform.name();
  document["documentNamespace"] = "https://spdx.org/spdxdocs/" + ImageName(description.reference) +
                                  "-" + description.reference.tag + "-" + subject.manifest.hex();
  JsonObject creation;
  creation["created"] = FormatRfc3339(description.created);
  creation["creators"] = JsonArray({"Tool: pgw-pack"});
  document["creationInfo"] = std::move(creation);

  JsonArray listed;
  JsonArray relationships;
  listed.emplace_back(ImagePackage(subject));
  relationships.emplace_back(Relationship("SPDXRef-DOCUMENT", "DESCRIBES", kImageId));
  for (const Package& package : packages) {
    listed.emplace_back(SpdxPackage(SpdxId(package), package.name, package.version, package.licence,
                                    package.sha256, package.purl()));
    const std::string id = SpdxId(package);
    relationships.emplace_back(package.is_linked
                                   ? Relationship(kImageId, "STATIC_LINK", id)
                                   : Relationship(id, "BUILD_DEPENDENCY_OF", kImageId));
  }
  document["packages"] = std::move(listed);
  document["relationships"] = std::move(relationships);
  if (JsonArray licences = ExtractedLicences(packages); !licences.empty()) {
    document["hasExtractedLicensingInfos"] = std::move(licences);
  }
  return document;
}

}  // namespace pgw::image
