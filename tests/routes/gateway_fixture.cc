#include "tests/routes/gateway_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "server/http/await.h"
#include "server/routes/gzip_stream.h"

namespace pgw::testing {
namespace {

GatewayOptions Completed(GatewayOptions options, int& quits) {
  options.quit = [&quits] { ++quits; };
  return options;
}

}  // namespace

std::string Reply::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

GatewayFixture::GatewayFixture(GatewaySetup setup)
    : own_metrics_({.branch = "main",
                    .goarch = "amd64",
                    .goos = "linux",
                    .goversion = "",
                    .revision = "abc",
                    .tags = "unknown",
                    .version = "1"},
                   clock_.Now()),
      store_({.check_consistency = setup.options.check_consistency,
              .own_families = OwnMetrics::Families()}),
      ttl_(setup.ttl) {
  EXPECT_EQ(pipe2(log_pipe_.data(), O_NONBLOCK), 0);
  log_ = std::make_unique<Logger>(clock_, log_pipe_[1], LogLevel::kDebug, LogFormat::kLogfmt);
  gateway_ = std::make_unique<Gateway>(store_, commands_, own_metrics_, ttl_, clock_, *log_,
                                       Completed(std::move(setup.options), quits_));
}

GatewayFixture::~GatewayFixture() {
  close(log_pipe_[0]);
  close(log_pipe_[1]);
}

Reply GatewayFixture::Send(std::string_view method, std::string_view target, std::string_view body,
                           const Headers& headers) {
  std::vector<http::Header> views = {{"Host", "h:9091"}};
  for (const auto& [name, value] : headers) views.push_back({name, value});
  http::Request request;
  request.method = method;
  request.target = target;
  request.headers = views;
  request.host = "h:9091";
  request.content_length = body.size();
  request.has_body = !body.empty();
  request.remote_address = "127.0.0.1:53854";
  request.head_received = request.received = clock_.Now();

  std::optional<http::Response> response = gateway_->OnHeader(request);
  Reply reply;
  reply.before_body = response.has_value();
  if (!response) {
    request.body = body;
    response = gateway_->OnRequest(request);
  }
  response = http::Await(std::move(*response));
  reply.status = response->status;
  reply.headers = response->headers;
  reply.close = response->close;
  reply.streamed = response->stream != nullptr;
  reply.body = reply.streamed ? ReadAll(*response->stream) : response->body;
  if (response->stream_length) {
    EXPECT_EQ(*response->stream_length, reply.body.size());
  }
  return reply;
}

std::string GatewayFixture::ScrapePushed(const Headers& headers) {
  const Reply reply = Get("/metrics", headers);
  EXPECT_EQ(reply.status, 200) << reply.body;
  return WithoutOwnFamilies(reply.body);
}

std::string GatewayFixture::Logged() {
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t size = 0; (size = read(log_pipe_[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

std::string WithoutOwnFamilies(std::string_view scrape) {
  std::string kept;
  while (!scrape.empty()) {
    const std::string_view line = scrape.substr(0, scrape.find('\n') + 1);
    scrape.remove_prefix(line.size());
    std::string_view name = line;
    if (name.starts_with("# ")) name.remove_prefix(7);
    const bool own = name.starts_with("process_") || name.starts_with("pushgateway_") ||
                     name.starts_with("push_");
    if (!own) kept.append(line);
  }
  return kept;
}

}  // namespace pgw::testing
