// A CivetServer of some program, on a port of its own, with a gateway mounted below /push.
#pragma once

#include <CivetServer.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "server/embed/civetweb/civetweb_gateway.h"
#include "tests/http/test_server.h"

namespace pgw::embed::testing {

using http::Request;
using http::Response;
using http::testing::Client;
using http::testing::RecordingHandler;

inline constexpr char kPrefix[] = "/push";

// The server lives as long as the process and is used by one test after the other: civetweb takes
// two seconds to stop. What the tests add to it, they take off again.
class CivetwebHost {
 public:
  // `server_options` come on top of the usual ones.
  explicit CivetwebHost(CivetwebOptions options = {.prefix = kPrefix},
                        const std::vector<std::string>& server_options = {})
      : gateway_(handler_, clock_, std::move(options)), server_(SharedServer(server_options)) {}
  ~CivetwebHost() {
    for (const std::string& path : others_) server_.removeHandler(path);
    gateway_.Unmount(server_);  // waits for requests that are being handled
  }
  CivetwebHost(const CivetwebHost&) = delete;
  CivetwebHost& operator=(const CivetwebHost&) = delete;

  // Before the first request.
  RecordingHandler& handler() { return handler_; }
  // `other` must outlive the host.
  void AddOther(const std::string& path, CivetHandler& other) {
    server_.addHandler(path, other);
    others_.push_back(path);
  }

  CivetServer& server() { return server_; }
  CivetwebGateway& gateway() { return gateway_; }

  Client Connect() {
    if (!std::exchange(mounted_, true)) {
      const Status status = gateway_.Mount(server_);
      EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    }
    return Client("127.0.0.1:" + std::to_string(server_.getListeningPorts().front()));
  }
  // One connection: sends, reads to the end.
  std::string Exchange(std::string_view bytes) {
    Client client = Connect();
    client.Send(bytes);
    return client.ReadToEnd();
  }

 private:
  static CivetServer& SharedServer(const std::vector<std::string>& more) {
    static std::map<std::vector<std::string>, CivetServer*> servers;
    CivetServer*& server = servers[more];
    if (server == nullptr) {
      std::vector<std::string> options = {"listening_ports", "127.0.0.1:0", "num_threads", "4"};
      options.insert(options.end(), more.begin(), more.end());
      if (std::ranges::find(more, "decode_url") == more.end()) {
        options.insert(options.end(), {"decode_url", "no"});
      }
      server = new CivetServer(options);
    }
    return *server;
  }

  SystemClock clock_;
  RecordingHandler handler_;
  CivetwebGateway gateway_;
  CivetServer& server_;
  std::vector<std::string> others_;
  bool mounted_ = false;
};

}  // namespace pgw::embed::testing
