#include "docker/registry/http_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>

#include "docker/printable.h"

namespace pgw::image {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kHeaderBytesMax = 64 * 1024;
constexpr std::size_t kPieceBytes = 64 * 1024;  // a timeout is one without progress, not of all

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

}  // namespace

// A connection with its own event loop, which runs only while something is waited for.
struct HttpClient::Connection {
  Connection(const HttpOptions& http_options, const Url& url)
      : options(http_options),
        origin(url.origin()),
        tls(url.is_tls()),
        ssl(MakeTlsContext(options, tls, setup)),
        stream(context, ssl) {}

  // The stream copies from the context, so that must be complete before. Reading the system's
  // certificates takes a while: not for plain http.
  static asio::ssl::context MakeTlsContext(const HttpOptions& options, bool tls, Status& status) {
    asio::ssl::context made(asio::ssl::context::tls_client);
    if (!tls) return made;
    error_code error;
    made.set_default_verify_paths(error);
    if (!options.ca_file.empty()) {
      made.load_verify_file(options.ca_file, error);
      if (error)
        status = InvalidArgument(options.ca_file + ": no certificates: " + error.message());
    }
    SSL_CTX_set_min_proto_version(made.native_handle(), TLS1_2_VERSION);
    return made;
  }

  // Starts an operation, which is to call the function it gets, and waits for it.
  template <typename Start>
  error_code Await(std::chrono::milliseconds timeout, Start start) {
    error_code result = asio::error::would_block;
    beast::get_lowest_layer(stream).expires_after(timeout);
    start([&result](error_code error, auto&&...) { result = error; });
    context.restart();
    context.run();
    return result;
  }

  Error Failed(std::string_view what, const error_code& error) {
    std::string why = error == beast::error::timeout ? "timed out" : error.message();
    if (const long verified = SSL_get_verify_result(stream.native_handle());
        tls && verified != X509_V_OK) {
      why += std::string(" (") + X509_verify_cert_error_string(verified) + ")";
    }
    // A certificate does not become better by asking again.
    const bool refused = error.category() == asio::error::get_ssl_category() &&
                         ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
                             SSL_R_CERTIFICATE_VERIFY_FAILED;
    return {refused ? Code::kInvalidArgument : Code::kUnavailable,
            origin + ": " + std::string(what) + ": " + why};
  }

  Status Open(const Url& url) {
    if (Status status = PrepareTls(url); !status) return status;
    Tcp::resolver resolver(context);
    error_code error;
    // Blocks for as long as the system's resolver does.
    const auto addresses = resolver.resolve(url.host, url.port, error);
    if (error) return Failed("looking up the host", error);
    error = Await(options.connect_timeout, [&](auto done) {
      beast::get_lowest_layer(stream).async_connect(addresses, done);
    });
    if (error) return Failed("connecting", error);
    beast::get_lowest_layer(stream).socket().set_option(Tcp::no_delay(true), error);
    if (!tls) return {};
    error = Await(options.connect_timeout,
                  [&](auto done) { stream.async_handshake(asio::ssl::stream_base::client, done); });
    if (error) return Failed("TLS", error);
    return {};
  }

  Status PrepareTls(const Url& url) {
    if (!setup || !tls) return setup;
    error_code error;
    stream.set_verify_mode(asio::ssl::verify_peer, error);
    stream.set_verify_callback(asio::ssl::host_name_verification(url.host), error);
    if (error) return Failed("TLS", error);
    error_code not_an_address;
    asio::ip::make_address(url.host, not_an_address);
    // Server name indication is for names alone.
    if (not_an_address && SSL_set_tlsext_host_name(stream.native_handle(), url.host.c_str()) != 1) {
      return InvalidArgument(url.host + ": no host name for TLS");
    }
    return {};
  }

  template <typename Stream>
  Result<HttpResponse> Exchange(Stream& on, const HttpRequest& request) {
    http::request<http::span_body<const char>> message;
    message.version(11);
    message.method_string(request.method);
    message.target(request.url.target);
    message.set(http::field::host, request.url.authority());
    message.set(http::field::user_agent, "pgw-pack");
    message.set(http::field::accept_encoding, "identity");
    for (const auto& [name, value] : request.headers) message.set(name, value);
    message.body() = {request.body.data(), request.body.size()};
    if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
      message.content_length(request.body.size());
    }
    http::request_serializer<http::span_body<const char>> serializer(message);
    error_code written;
    while (!serializer.is_done() && !written) {
      serializer.limit(kPieceBytes);
      written = Await(options.io_timeout,
                      [&](auto done) { http::async_write_some(on, serializer, done); });
    }
    // Who refuses a body may answer and close before having read it: the answer tells more than
    // the broken pipe.
    http::response_parser<http::string_body> parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(options.response_bytes_max);
    parser.skip(request.method == "HEAD");
    error_code read;
    while (!parser.is_done() && !read) {
      read = Await(options.io_timeout,
                   [&](auto done) { http::async_read_some(on, buffer, parser, done); });
    }
    if (read) {
      if (read == http::error::body_limit || read == http::error::header_limit) {
        return Error{Code::kTooLarge, origin + ": the answer is too large"};
      }
      return written ? Failed("sending", written) : Failed("waiting for the answer", read);
    }
    reusable = parser.keep_alive() && !written;
    return ToResponse(parser.release());
  }

  static HttpResponse ToResponse(http::response<http::string_body> message) {
    HttpResponse response;
    response.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
      response.headers.emplace(Lower(field.name_string()), field.value());
    }
    response.body = std::move(message.body());
    return response;
  }

  const HttpOptions& options;
  const std::string origin;
  const bool tls;
  asio::io_context context;
  Status setup;
  asio::ssl::context ssl;
  asio::ssl::stream<beast::tcp_stream> stream;
  beast::flat_buffer buffer;
  bool reusable = true;
};

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) {}

HttpClient::~HttpClient() = default;

Result<HttpResponse> HttpClient::Send(const HttpRequest& request) {
  if (!request.url.is_tls() && !IsLoopback(request.url.host)) {
    return InvalidArgument(request.url.origin() +
                           ": plain http is only for loopback hosts; nothing was sent");
  }
  if (!connection_ || connection_->origin != request.url.origin() || !connection_->reusable) {
    connection_ = std::make_unique<Connection>(options_, request.url);
    if (Status status = connection_->Open(request.url); !status) {
      connection_.reset();
      return status.error();
    }
  }
  Result<HttpResponse> response =
      connection_->tls ? connection_->Exchange(connection_->stream, request)
                       : connection_->Exchange(connection_->stream.next_layer(), request);
  if (!response) connection_.reset();
  return response;
}

}  // namespace pgw::image
