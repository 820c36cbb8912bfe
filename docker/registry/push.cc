#include "docker/registry/push.h"

#include <set>

#include "docker/read/layout_tree.h"
#include "docker/read/verify.h"

namespace pgw::image {
namespace {

class Pusher {
 public:
  Pusher(const LayoutStore& store, RegistryClient& client, const PushOptions& options)
      : store_(store), client_(client), options_(options) {}

  Result<Digest> Push() {
    if (!HasLayout(store_))
      return InvalidArgument("no OCI layout: Docker archives cannot be pushed");
    if (Status status = Check(); !status) return status.error();
    const Result<LayoutTree> tree = ReadLayoutTree(store_);
    if (!tree) return tree.error();
    if (tree->entries.size() != 1) {
      return InvalidArgument("index.json: " + std::to_string(tree->entries.size()) +
                             " images; which one is meant?");
    }
    const TopNode& top = tree->entries.front();
    for (const ManifestNode& node : top.manifests) {
      if (Status status = PushManifest(node, top.index.has_value()); !status) return status.error();
    }
    Status status = PutDocument(top.descriptor, client_.reference().tag);
    if (status) status = CheckTag(top.descriptor);
    if (!status) return status.error();
    return top.descriptor.digest;
  }

 private:
  Status Check() {
    VerifyOptions options;
    options.integrity_only = true;
    const Result<VerifyReport> report = VerifyLayout(store_, options);
    if (!report) return report.error();
    if (!report->ok()) return InvalidArgument(report->findings.front() + "; nothing was sent");
    return {};
  }

  Status PushManifest(const ManifestNode& node, bool below_index) {
    if (Status status = PushBlob(node.config); !status) return status;
    for (const Descriptor& layer : node.layers) {
      if (Status status = PushBlob(layer); !status) return status;
    }
    if (!below_index) return {};
    return PutDocument(node.descriptor, node.descriptor.digest.text());
  }

  Status PushBlob(const Descriptor& blob) {
    if (!pushed_.insert(blob.digest).second) return {};
    const OpenBlob open = [this, &blob] { return store_.Open(blob.digest.blob_path()); };
    const Result<BlobOutcome> outcome =
        UploadBlob(client_, blob.digest, blob.size, open, options_.upload);
    if (!outcome) return outcome.error();
    constexpr std::string_view kWords[] = {"is there", "mounted", "uploaded"};
    options_.progress("blob " + blob.digest.text() + ", " + std::to_string(blob.size) +
                      " bytes: " + std::string(kWords[static_cast<unsigned>(*outcome)]));
    return {};
  }

  Status PutDocument(const Descriptor& document, const std::string& name) {
    const Result<std::string> text =
        store_.Read(document.digest.blob_path(), JsonLimits().bytes_max);
    if (!text) return text.error();
    HttpRequest request;
    request.method = "PUT";
    request.url = client_.RepositoryUrl("manifests/" + name);
    request.headers = {{"Content-Type", document.media_type}};
    request.body = *text;
    const Result<HttpResponse> response = client_.Send(request);
    if (!response) return response.error();
    if (response->status != 201 && response->status != 200 && response->status != 202) {
      return InvalidArgument("manifest " + name + ": " + DescribeAnswer(*response));
    }
    options_.progress("manifest " + document.digest.text() +
                      (name == document.digest.text() ? "" : " as " + name) + ": pushed");
    return {};
  }

  // That the registry has stored what it was given.
  Status CheckTag(const Descriptor& document) {
    HttpRequest request;
    request.method = "HEAD";
    request.url = client_.RepositoryUrl("manifests/" + client_.reference().tag);
    request.headers = {{"Accept", document.media_type}};
    const Result<HttpResponse> response = client_.Send(request);
    if (!response) return response.error();
    const std::string digest = response->Header("docker-content-digest");
    if (response->status != 200 || (!digest.empty() && digest != document.digest.text())) {
      return InvalidArgument("the registry has another image under " + client_.reference().tag +
                             " than was pushed: " + DescribeAnswer(*response) + " " + digest);
    }
    return {};
  }

  const LayoutStore& store_;
  RegistryClient& client_;
  const PushOptions& options_;
  std::set<Digest> pushed_;
};

}  // namespace

Result<Digest> PushLayout(const LayoutStore& store, RegistryClient& client,
                          const PushOptions& options) {
  return Pusher(store, client, options).Push();
}

}  // namespace pgw::image
