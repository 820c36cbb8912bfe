// A registry of the OCI distribution protocol on a loopback port, small and moody. For tests of
// pushing.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace pgw::image::testing {

class FakeRegistry {
 public:
  enum class Login { kNone, kBasic, kBearer };
  struct Options {
    Login login = Login::kNone;       // user "alice", password "secret"; the token is "sesame"
    int broken_pieces = 0;            // so many PATCH requests are half stored, and not answered
    int forgotten_uploads = 0;        // so many PATCH requests find their upload gone
    bool forgets_when_asked = false;  // pieces are taken, and then their upload is gone, for ever
    int busy_answers = 0;             // so many requests are answered with 503
    int unanswered_puts = 0;          // so many uploads are finished, but not answered
    std::string uploads_go_to = {};   // another origin, in front of upload locations
    std::string everything_goes_to = {};  // HEAD requests are redirected to this origin
    bool redirects_in_circles = false;
    std::string realm = {};        // of tokens; its own by default
    std::size_t answer_bytes = 0;  // of padding in every answer
  };
  struct Seen {
    std::string method;
    std::string target;
    std::string authorization;
    std::string content_range;
  };

  FakeRegistry() : FakeRegistry(Options{}) {}
  explicit FakeRegistry(Options options);
  ~FakeRegistry();

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string origin() const { return "http://" + host(); }
  // What was asked, in order.
  std::vector<Seen> seen() const;
  // How many requests began so.
  std::size_t Count(std::string_view method, std::string_view target_part) const;
  // By digest; of manifests also by tag.
  std::map<std::string, std::string> blobs() const;
  std::map<std::string, std::string> manifests() const;
  void AddBlob(const std::string& digest, const std::string& content);

 private:
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using Response = boost::beast::http::response<boost::beast::http::string_body>;

  void Serve();
  void ServeConnection(boost::asio::ip::tcp::socket& socket);
  // Nothing: the connection breaks.
  std::optional<Response> Answer(const Request& request);
  std::optional<Response> AnswerUpload(const Request& request, const std::string& target);
  Response AnswerManifest(const Request& request, const std::string& name);
  Response AnswerToken(const Request& request) const;
  bool MayEnter(const Request& request) const;
  bool IsComplete(const std::string& manifest) const;
  Response Make(int status) const;
  Response Accepted(const std::string& id) const;

  Options options_;
  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  unsigned short port_ = 0;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::string> manifests_;
  std::map<std::string, std::string> uploads_;
  int next_upload_ = 1;
  std::thread thread_;
};

}  // namespace pgw::image::testing
