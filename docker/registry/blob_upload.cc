#include "docker/registry/blob_upload.h"

#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace pgw::image {
namespace {

// The end of "0-1023", exclusive.
std::optional<std::uint64_t> ParseRangeEnd(std::string_view range) {
  // Some write "bytes=0-1023".
  if (const std::size_t equals = range.find('='); equals != std::string_view::npos) {
    range.remove_prefix(equals + 1);
  }
  if (!range.starts_with("0-")) return std::nullopt;
  range.remove_prefix(2);
  std::uint64_t last = 0;
  const auto [end, error] = std::from_chars(range.data(), range.data() + range.size(), last);
  if (error != std::errc() || end != range.data() + range.size()) return std::nullopt;
  // "0-0" is also what the reference registry says of nothing. A single byte is never what we sent.
  return last == 0 ? 0 : last + 1;
}

class BlobUpload {
 public:
  BlobUpload(RegistryClient& client, const Digest& digest, std::uint64_t size, const OpenBlob& open,
             const BlobUploadOptions& options)
      : client_(client), digest_(digest), size_(size), open_(open), options_(options) {}

  Result<BlobOutcome> Run() {
    const Result<bool> existed = IsThere();
    if (!existed) return existed.error();
    if (*existed) return BlobOutcome::kExisted;
    Result<bool> mounted = Begin();
    if (!mounted) return mounted.error();
    if (*mounted) return BlobOutcome::kMounted;
    for (int attempt = 1;; ++attempt) {
      Status status = SendPieces();
      if (status) status = Finish();
      if (status) return BlobOutcome::kUploaded;
      if (status.error().code != Code::kUnavailable) return status.error();
      // What has brought us further than ever does not count as an attempt. A registry that loses
      // what it took sends us back to the beginning, where every piece looks like progress.
      if (offset_ > furthest_) {
        furthest_ = offset_;
        attempt = 1;
      }
      if (!client_.WaitBefore(attempt)) return status.error();
      const Result<bool> done = Resume();
      if (!done) return done.error();
      if (*done) return BlobOutcome::kUploaded;
    }
  }

 private:
  Error Unexpected(std::string_view step, const HttpResponse& response) const {
    return InvalidArgument(digest_.text() + ": " + std::string(step) + ": " +
                           DescribeAnswer(response));
  }

  Result<bool> IsThere() {
    HttpRequest request;
    request.method = "HEAD";
    request.url = client_.RepositoryUrl("blobs/" + digest_.text());
    const Result<HttpResponse> response = client_.Send(request);
    if (!response) return response.error();
    if (response->status != 200 && response->status != 404) {
      return Unexpected("asking for it", *response);
    }
    return response->status == 200;
  }

  // True if the blob was mounted.
  Result<bool> Begin() {
    HttpRequest request;
    request.method = "POST";
    request.url = client_.RepositoryUrl("blobs/uploads/");
    if (!client_.mount_from().empty()) {
      request.url.target = WithQuery(request.url.target, "mount", digest_.text());
      request.url.target = WithQuery(request.url.target, "from", client_.mount_from());
    }
    const Result<HttpResponse> response = client_.Send(request);
    if (!response) return response.error();
    if (response->status == 201) return true;
    if (response->status != 202) return Unexpected("beginning its upload", *response);
    location_.reset();
    if (Status status = TakeLocation(request.url, *response); !status) return status.error();
    if (!location_)
      return InvalidArgument(digest_.text() + ": the registry names no place to upload to");
    offset_ = 0;
    source_.reset();
    return false;
  }

  Status TakeLocation(const Url& base, const HttpResponse& response) {
    const std::string location = response.Header("location");
    if (location.empty()) return {};
    Result<Url> url = ResolveUrl(base, location);
    if (!url) return url.error();
    if (base.is_tls() && !url->is_tls()) {
      return InvalidArgument(base.origin() + " sends an upload from https to http");
    }
    location_ = std::move(*url);
    return {};
  }

  // The source, at `offset_`.
  Status Seek() {
    if (source_ && source_offset_ == offset_) return {};
    Result<std::unique_ptr<ByteSource>> source = open_();
    if (!source) return source.error();
    source_ = std::move(*source);
    std::array<char, 32768> buffer;
    for (source_offset_ = 0; source_offset_ < offset_;) {
      const auto wanted = std::min<std::uint64_t>(buffer.size(), offset_ - source_offset_);
      const Result<std::size_t> read = source_->Read(std::span(buffer).first(wanted));
      if (!read) return read.error();
      if (*read == 0) return InvalidArgument(digest_.text() + ": became shorter");
      source_offset_ += *read;
    }
    return {};
  }

  Status SendPieces() {
    while (offset_ < size_) {
      if (Status status = Seek(); !status) return status;
      piece_.resize(
          static_cast<std::size_t>(std::min<std::uint64_t>(options_.piece_bytes, size_ - offset_)));
      const Result<std::size_t> read = ReadFully(*source_, piece_);
      if (!read) return read.error();
      if (*read != piece_.size()) return InvalidArgument(digest_.text() + ": became shorter");
      source_offset_ += *read;
      if (Status status = SendPiece(); !status) return status;
    }
    return {};
  }

  Status SendPiece() {
    const std::uint64_t end = offset_ + piece_.size();
    HttpRequest request;
    request.method = "PATCH";
    request.url = *location_;
    request.body = piece_;
    request.headers = {{"Content-Type", "application/octet-stream"},
                       {"Content-Range", std::to_string(offset_) + "-" + std::to_string(end - 1)}};
    const Result<HttpResponse> response = client_.SendOnce(request);
    if (!response) return response.error();
    // Out of step, or forgotten: find out where we are.
    if (response->status == 416 || response->status == 404) {
      return Error{Code::kUnavailable, Unexpected("uploading it", *response).message};
    }
    if (response->status != 202 && response->status != 201 && response->status != 204) {
      return Unexpected("uploading it", *response);
    }
    if (Status status = TakeLocation(request.url, *response); !status) return status;
    const std::optional<std::uint64_t> taken = ParseRangeEnd(response->Header("range"));
    if (taken && *taken > offset_ && *taken < end) {
      offset_ = *taken;
    } else {
      offset_ = end;
    }
    return {};
  }

  Status Finish() {
    HttpRequest request;
    request.method = "PUT";
    request.url = *location_;
    request.url.target = WithQuery(request.url.target, "digest", digest_.text());
    request.headers = {{"Content-Type", "application/octet-stream"}};
    const Result<HttpResponse> response = client_.SendOnce(request);
    if (!response) return response.error();
    if (response->status == 404 || response->status == 416) {
      return Error{Code::kUnavailable, Unexpected("finishing its upload", *response).message};
    }
    if (response->status != 201 && response->status != 204) {
      return Unexpected("finishing its upload", *response);
    }
    return {};
  }

  // After something went wrong: how much is there? True if all of it is, finished.
  Result<bool> Resume() {
    const Result<bool> there = IsThere();
    if (!there) return there.error();
    if (*there) return true;
    HttpRequest request;
    request.url = *location_;
    const Result<HttpResponse> response = client_.Send(request);
    if (!response) return response.error();
    const std::optional<std::uint64_t> taken = ParseRangeEnd(response->Header("range"));
    if ((response->status == 204 || response->status == 202) && taken && *taken <= size_) {
      if (Status status = TakeLocation(request.url, *response); !status) return status.error();
      offset_ = *taken;
      return false;
    }
    return Begin();
  }

  RegistryClient& client_;
  const Digest digest_;
  const std::uint64_t size_;
  const OpenBlob& open_;
  const BlobUploadOptions options_;
  std::optional<Url> location_;
  std::uint64_t offset_ = 0;    // how much the registry has
  std::uint64_t furthest_ = 0;  // the largest `offset_` of all uploads begun
  std::unique_ptr<ByteSource> source_;
  std::uint64_t source_offset_ = 0;
  std::string piece_;
};

}  // namespace

Result<BlobOutcome> UploadBlob(RegistryClient& client, const Digest& digest, std::uint64_t size,
                               const OpenBlob& open, const BlobUploadOptions& options) {
  return BlobUpload(client, digest, size, open, options).Run();
}

}  // namespace pgw::image
