#include "tests/docker/fake_registry.h"

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "docker/archive/digest.h"
#include "docker/json.h"
#include "docker/registry/credentials.h"

namespace pgw::image::testing {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;

constexpr std::string_view kUploads = "/blobs/uploads/";

std::string Text(boost::beast::string_view text) { return {text.data(), text.size()}; }

// The value of a query parameter, with %3A read as a colon and %2F as a slash.
std::string Query(const std::string& target, const std::string& name) {
  const std::size_t question = target.find('?');
  if (question == std::string::npos) return {};
  const std::string query = "&" + target.substr(question + 1);
  const std::size_t at = query.find("&" + name + "=");
  if (at == std::string::npos) return {};
  std::string value = query.substr(at + name.size() + 2);
  value = value.substr(0, value.find('&'));
  for (const auto& [from, to] : {std::pair{"%3A", ":"}, {"%2F", "/"}}) {
    for (std::size_t i; (i = value.find(from)) != std::string::npos;) value.replace(i, 3, to);
  }
  return value;
}

}  // namespace

FakeRegistry::FakeRegistry(Options options)
    : options_(std::move(options)),
      acceptor_(context_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      port_(acceptor_.local_endpoint().port()),
      thread_([this] { Serve(); }) {}

FakeRegistry::~FakeRegistry() {
  stop_ = true;
  // Wakes the thread up where it waits for a connection.
  boost::system::error_code ignored;
  asio::io_context context;
  Tcp::socket socket(context);
  socket.connect(Tcp::endpoint(asio::ip::address_v4::loopback(), port_), ignored);
  socket.close(ignored);
  thread_.join();
}

std::vector<FakeRegistry::Seen> FakeRegistry::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

std::size_t FakeRegistry::Count(std::string_view method, std::string_view target_part) const {
  std::size_t count = 0;
  for (const Seen& each : seen()) {
    if (each.method == method && each.target.find(target_part) != std::string::npos) ++count;
  }
  return count;
}

std::map<std::string, std::string> FakeRegistry::blobs() const {
  const std::lock_guard lock(mutex_);
  return blobs_;
}

std::map<std::string, std::string> FakeRegistry::manifests() const {
  const std::lock_guard lock(mutex_);
  return manifests_;
}

void FakeRegistry::AddBlob(const std::string& digest, const std::string& content) {
  const std::lock_guard lock(mutex_);
  blobs_[digest] = content;
}

void FakeRegistry::Serve() {
  while (true) {
    boost::system::error_code error;
    Tcp::socket socket(context_);
    acceptor_.accept(socket, error);
    if (stop_ || error) return;
    ServeConnection(socket);
  }
}

void FakeRegistry::ServeConnection(Tcp::socket& socket) {
  boost::system::error_code error;
  boost::beast::flat_buffer buffer;
  while (true) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(64u << 20);
    http::read(socket, buffer, parser, error);
    if (error) return;
    const Request& request = parser.get();
    std::optional<Response> response;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back({Text(request.method_string()), Text(request.target()),
                       Text(request[http::field::authorization]),
                       Text(request[http::field::content_range])});
      response = Answer(request);
    }
    if (!response) {
      socket.close(error);
      return;
    }
    if (options_.answer_bytes != 0) response->body() = std::string(options_.answer_bytes, 'x');
    response->prepare_payload();
    if (request.method() == http::verb::head) response->body().clear();
    http::response_serializer<http::string_body> serializer(*response);
    serializer.split(request.method() == http::verb::head);
    request.method() == http::verb::head ? http::write_header(socket, serializer, error)
                                         : http::write(socket, serializer, error);
    if (error) return;
  }
}

FakeRegistry::Response FakeRegistry::Make(int status) const {
  Response response;
  response.version(11);
  response.result(static_cast<unsigned>(status));
  return response;
}

bool FakeRegistry::MayEnter(const Request& request) const {
  const std::string given = Text(request[http::field::authorization]);
  if (options_.login == Login::kBasic) return given == "Basic " + EncodeBase64("alice:secret");
  return options_.login == Login::kNone || given == "Bearer sesame";
}

FakeRegistry::Response FakeRegistry::AnswerToken(const Request& request) const {
  const bool by_password =
      Text(request[http::field::authorization]) == "Basic " + EncodeBase64("alice:secret");
  const bool by_token = request.method() == http::verb::post &&
                        request.body().find("refresh_token=identity") != std::string::npos;
  Response response = Make(by_password || by_token ? 200 : 401);
  response.body() = R"({"token": "sesame"})";
  return response;
}

std::optional<FakeRegistry::Response> FakeRegistry::Answer(const Request& request) {
  const std::string target = Text(request.target());
  if (options_.busy_answers > 0) {
    --options_.busy_answers;
    return Make(503);
  }
  if (target.starts_with("/token")) return AnswerToken(request);
  if (!options_.everything_goes_to.empty() && request.method() == http::verb::head) {
    Response response = Make(307);
    response.set(http::field::location, options_.everything_goes_to + target);
    return response;
  }
  if (options_.redirects_in_circles) {
    Response response = Make(307);
    response.set(http::field::location, target);
    return response;
  }
  if (!MayEnter(request)) {
    Response response = Make(401);
    const std::string realm = options_.realm.empty() ? origin() + "/token" : options_.realm;
    response.set(http::field::www_authenticate,
                 options_.login == Login::kBasic
                     ? "Basic realm=\"here\""
                     : "Bearer realm=\"" + realm + "\",service=\"fake\",scope=\"x\"");
    return response;
  }
  if (target.find(kUploads) != std::string::npos) return AnswerUpload(request, target);
  const std::string last = target.substr(target.rfind('/') + 1);
  if (target.find("/manifests/") != std::string::npos) return AnswerManifest(request, last);
  return Make(blobs_.contains(last) ? 200 : 404);
}

FakeRegistry::Response FakeRegistry::Accepted(const std::string& id) const {
  Response response = Make(202);
  response.set(http::field::location,
               options_.uploads_go_to + "/v2/r" + std::string(kUploads) + id + "?state=1");
  const std::size_t size = uploads_.at(id).size();
  response.set(http::field::range, "0-" + std::to_string(size == 0 ? 0 : size - 1));
  return response;
}

std::optional<FakeRegistry::Response> FakeRegistry::AnswerUpload(const Request& request,
                                                                 const std::string& target) {
  const std::size_t start = target.find(kUploads) + kUploads.size();
  const std::string id = target.substr(start, target.find('?') - start);
  if (request.method() == http::verb::post) {
    if (blobs_.contains("mountable:" + Query(target, "mount"))) {
      const std::string digest = Query(target, "mount");
      blobs_[digest] = blobs_.at("mountable:" + digest);
      return Make(201);
    }
    const std::string fresh = std::to_string(next_upload_++);
    uploads_[fresh] = "";
    return Accepted(fresh);
  }
  if (options_.forgets_when_asked && request.method() != http::verb::patch) uploads_.erase(id);
  if (!uploads_.contains(id)) return Make(404);
  std::string& upload = uploads_[id];
  if (request.method() == http::verb::patch) {
    const std::string range = std::to_string(upload.size()) + "-" +
                              std::to_string(upload.size() + request.body().size() - 1);
    if (Text(request[http::field::content_range]) != range) return Make(416);
    if (options_.forgotten_uploads > 0) {
      --options_.forgotten_uploads;
      uploads_.erase(id);
      return Make(404);
    }
    if (options_.broken_pieces > 0) {
      --options_.broken_pieces;
      upload += request.body().substr(0, request.body().size() / 2);
      return std::nullopt;
    }
    upload += request.body();
    return Accepted(id);
  }
  if (request.method() == http::verb::get) {
    Response response = Accepted(id);
    response.result(204u);
    return response;
  }
  const std::string digest = Query(target, "digest");
  if (Digest::Of(upload).text() != digest) return Make(400);
  blobs_[digest] = upload;
  uploads_.erase(id);
  if (options_.unanswered_puts > 0) {
    --options_.unanswered_puts;
    return std::nullopt;
  }
  return Make(201);
}

bool FakeRegistry::IsComplete(const std::string& text) const {
  const Result<Json> manifest = ParseJson(text);
  if (!manifest) return false;
  const auto has = [](const std::map<std::string, std::string>& store, const Json& descriptor) {
    return store.contains(std::string(StringMember(descriptor, "digest")));
  };
  if (const Json* const children = FindMember(*manifest, "manifests")) {
    for (const Json& each : children->get_array()) {
      if (!has(manifests_, each)) return false;
    }
    return true;
  }
  for (const Json& each : FindMember(*manifest, "layers")->get_array()) {
    if (!has(blobs_, each)) return false;
  }
  return has(blobs_, *FindMember(*manifest, "config"));
}

FakeRegistry::Response FakeRegistry::AnswerManifest(const Request& request,
                                                    const std::string& name) {
  if (request.method() == http::verb::put) {
    if (!IsComplete(request.body())) {
      Response response = Make(400);
      response.body() =
          R"({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]})";
      return response;
    }
    manifests_[name] = request.body();
    manifests_[Digest::Of(request.body()).text()] = request.body();
    return Make(201);
  }
  if (!manifests_.contains(name)) return Make(404);
  Response response = Make(200);
  response.set("Docker-Content-Digest", Digest::Of(manifests_[name]).text());
  return response;
}

}  // namespace pgw::image::testing
