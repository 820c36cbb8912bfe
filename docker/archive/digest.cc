#include "docker/archive/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cassert>

namespace pgw::image {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr std::size_t kHexDigits = 64;

std::string ToHex(std::span<const unsigned char> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  Context() = default;
  ~Context() { EVP_MD_CTX_free(md); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
};

bool IsSha256Hex(std::string_view text) {
  return text.size() == kHexDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<Digest> Digest::Parse(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  if (!IsSha256Hex(text)) return std::nullopt;
  return Digest(std::string(text));
}

Digest Digest::Of(std::string_view bytes) {
  Sha256 hash;
  (void)hash.Write(bytes);
  return hash.Finish();
}

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  [[maybe_unused]] const int done = EVP_DigestInit_ex(context_->md, EVP_sha256(), nullptr);
  assert(done == 1);
}

Sha256::~Sha256() = default;

Status Sha256::Write(std::string_view bytes) {
  bytes_ += bytes.size();
  if (EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()) == 1) return {};
  return Error{Code::kInternal, "OpenSSL cannot compute SHA-256"};
}

Digest Sha256::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context_->md, bytes.data(), &size);
  return Digest::FromHex(ToHex(std::span(bytes).first(32)));
}

Result<std::size_t> HashingSource::Read(std::span<char> buffer) {
  const Result<std::size_t> read = source_.Read(buffer);
  if (!read) return read.error();
  if (Status status = hash_.Write({buffer.data(), *read}); !status) return status.error();
  return *read;
}

}  // namespace pgw::image
