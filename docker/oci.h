// The words of the OCI image specification 1.1, of Docker's archives and of BuildKit's
// attestations. Knows digests and JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "docker/archive/digest.h"
#include "docker/json.h"

namespace pgw::image {

inline constexpr std::string_view kMediaIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kMediaManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kMediaConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kMediaLayerTar = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kMediaLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kMediaInToto = "application/vnd.in-toto+json";

inline constexpr std::string_view kAnnotationRefName = "org.opencontainers.image.ref.name";
inline constexpr std::string_view kAnnotationImageName = "io.containerd.image.name";
inline constexpr std::string_view kAnnotationVersion = "org.opencontainers.image.version";
inline constexpr std::string_view kAnnotationCreated = "org.opencontainers.image.created";
inline constexpr std::string_view kAnnotationReferenceType = "vnd.docker.reference.type";
inline constexpr std::string_view kAnnotationReferenceDigest = "vnd.docker.reference.digest";
inline constexpr std::string_view kAnnotationPredicateType = "in-toto.io/predicate-type";
inline constexpr std::string_view kAttestationManifest = "attestation-manifest";

// containerd refuses any other bytes.
inline constexpr std::string_view kOciLayout = R"({"imageLayoutVersion":"1.0.0"})";

struct Descriptor {
  std::string media_type;
  Digest digest = Digest::FromHex({});
  std::uint64_t size = 0;

  friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

// The descriptor of a blob with this content.
Descriptor DescriptorOf(std::string_view media_type, std::string_view content);

// {mediaType, digest, size}; members may be added.
JsonObject ToJson(const Descriptor& descriptor);
// kInvalidArgument where a member is missing or wrong.
Result<Descriptor> ParseDescriptor(const Json& value);

// 2022-08-24T10:04:35Z, and back.
std::string FormatRfc3339(std::int64_t epoch_seconds);
std::optional<std::int64_t> ParseRfc3339(std::string_view text);
// Wed Aug 24 10:04:35 UTC 2022, as date -u prints it, whatever locale and time zone.
std::string FormatDateUtc(std::int64_t epoch_seconds);

}  // namespace pgw::image
