// The gateway below a prefix of a CivetServer that a program already has. Knows server/http,
// server/routes (spelling of paths) and civetweb 1.15 or later.
//
//   EmbeddedGateway gateway({.prefix = "/pushed"}, clock, log);
//   CivetwebGateway mounted(gateway.handler(), clock, {.prefix = "/pushed"});
//   CivetServer server({"listening_ports", "9091", "decode_url", "no"});
//   if (Status status = mounted.Mount(server); !status) …
//
// civetweb serves a connection with a thread of its own: num_threads stalled clients are enough to
// keep everybody else waiting, for request_timeout_ms at a time. Where strangers can connect, use
// http::Server instead. docs/embedding.md has the numbers, and all other differences.
#pragma once

#include <CivetServer.h>

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "server/http/body_budget.h"
#include "server/http/handler.h"

namespace pgw::embed {

struct CivetwebOptions {
  // The one the handler was made for: "" or "/something". An empty one takes every path that no
  // other handler of the server takes.
  std::string prefix{};
  std::uint64_t body_bytes_max = 64ull << 20;     // one body as received; more: 413. 0: no limit
  std::uint64_t bodies_bytes_max = 256ull << 20;  // all unfinished ones; more: 503. 0: no limit
  // By default civetweb decodes paths before a handler sees them, and an escaped slash in a label
  // value becomes one that separates labels. So Mount() wants decode_url "no". A program that
  // cannot do without decoding may accept that: its clients then have to send such values in
  // base64 (/job@base64/…).
  bool accept_decoded_paths = false;
};

// Thread-safe: civetweb calls it from all its threads. No exception leaves it.
//
// Owns nothing. The handler and the clock must outlive it, and it must outlive its use: destroy or
// close() the CivetServer first, or Unmount(), which waits for the requests it is handling.
class CivetwebGateway : public CivetHandler {
 public:
  CivetwebGateway(http::Handler& handler, const Clock& clock, CivetwebOptions options);
  ~CivetwebGateway() override;
  CivetwebGateway(const CivetwebGateway&) = delete;
  CivetwebGateway& operator=(const CivetwebGateway&) = delete;

  // Adds it to the server. kInvalidArgument: the server is not running, decodes paths, or the
  // prefix is not one. Auth handlers of the server go first, as always; put them on the whole
  // prefix, since civetweb does not see that /metric%73 means /metrics.
  Status Mount(CivetServer& server);
  // Takes it off. Not to be called while it handles a request on the calling thread.
  void Unmount(CivetServer& server);

  // For the server, and for handlers that want to do something first. False: the path is not below
  // the prefix, and nothing was sent or read. `status` is for the access log.
  bool handleGet(CivetServer* server, mg_connection* connection, int* status) override;
  bool handlePost(CivetServer* server, mg_connection* connection, int* status) override;
  bool handleHead(CivetServer* server, mg_connection* connection, int* status) override;
  bool handlePut(CivetServer* server, mg_connection* connection, int* status) override;
  bool handleDelete(CivetServer* server, mg_connection* connection, int* status) override;
  bool handleOptions(CivetServer* server, mg_connection* connection, int* status) override;
  bool handlePatch(CivetServer* server, mg_connection* connection, int* status) override;
  using CivetHandler::handleDelete;
  using CivetHandler::handleGet;
  using CivetHandler::handleHead;
  using CivetHandler::handleOptions;
  using CivetHandler::handlePatch;
  using CivetHandler::handlePost;
  using CivetHandler::handlePut;

 private:
  bool Handle(mg_connection* connection, int* status) noexcept;
  // Where civetweb looks for it.
  std::string MountPoint() const;

  http::Handler& handler_;
  const Clock& clock_;
  const CivetwebOptions options_;
  http::BodyBudget budget_;
};

}  // namespace pgw::embed
