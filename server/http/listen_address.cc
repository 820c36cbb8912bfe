#include "server/http/listen_address.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "server/http/ascii.h"
#include "server/http/descriptor.h"

namespace pgw::http {
namespace {

constexpr std::string_view kVsockScheme = "vsock://";

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
  bool wildcard = false;
};

Endpoint V4(in_addr address, std::uint16_t port) {
  Endpoint endpoint;
  auto& in = reinterpret_cast<sockaddr_in&>(endpoint.address);
  in.sin_family = AF_INET;
  in.sin_addr = address;
  in.sin_port = htons(port);
  endpoint.size = sizeof in;
  endpoint.wildcard = address.s_addr == htonl(INADDR_ANY);
  return endpoint;
}

Endpoint V6(const in6_addr& address, std::uint16_t port, std::uint32_t scope) {
  Endpoint endpoint;
  auto& in = reinterpret_cast<sockaddr_in6&>(endpoint.address);
  in.sin6_family = AF_INET6;
  in.sin6_addr = address;
  in.sin6_port = htons(port);
  in.sin6_scope_id = scope;
  endpoint.size = sizeof in;
  endpoint.wildcard = IN6_IS_ADDR_UNSPECIFIED(&address);
  return endpoint;
}

// A literal address, perhaps with an IPv6 zone.
std::optional<Endpoint> ParseLiteral(const std::string& host, std::uint16_t port) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return V4(v4, port);
  const std::size_t percent = host.find('%');
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.substr(0, percent).c_str(), &v6) != 1) return std::nullopt;
  std::uint32_t scope = 0;
  if (percent != std::string::npos) {
    const std::string zone = host.substr(percent + 1);
    scope = if_nametoindex(zone.c_str());
    if (scope == 0) std::from_chars(zone.data(), zone.data() + zone.size(), scope);
  }
  return V6(v6, port, scope);
}

// Go listens on the first IPv4 address of a name, or else on its first one.
Result<Endpoint> Lookup(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) {
    // A container need not have /etc/hosts.
    if (EqualsIgnoringCase(host, "localhost")) return V4({htonl(INADDR_LOOPBACK)}, port);
    return Error{Code::kUnavailable, "lookup " + host + ": no such host"};
  }
  std::optional<Endpoint> chosen;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      chosen = V4(reinterpret_cast<const sockaddr_in*>(entry->ai_addr)->sin_addr, port);
      break;
    }
    if (entry->ai_family == AF_INET6 && !chosen) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      chosen = V6(in->sin6_addr, port, in->sin6_scope_id);
    }
  }
  freeaddrinfo(found);
  if (!chosen) return Error{Code::kUnavailable, "lookup " + host + ": no such host"};
  return *chosen;
}

Descriptor OpenStream(int family) {
  return Descriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void SetOption(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

// net.core.somaxconn, which listen() alone would cut a larger number down to.
int Backlog() {
  std::ifstream file("/proc/sys/net/core/somaxconn");
  int backlog = 0;
  return file >> backlog && backlog > 0 ? backlog : SOMAXCONN;
}

// Binds and listens; `prefix` begins the error text.
Result<int> BindAndListen(Descriptor socket, const sockaddr_storage& address, socklen_t size,
                          const std::string& prefix) {
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return Error{Code::kUnavailable, prefix + "bind: " + ErrorText(errno)};
  }
  if (listen(socket.get(), Backlog()) != 0) {
    return Error{Code::kUnavailable, prefix + "listen: " + ErrorText(errno)};
  }
  return socket.release();
}

Result<int> OpenVsock(std::string_view address) {
  const Result<std::uint32_t> port = ParseVsockPort(address);
  if (!port) return port.error();
  const std::string prefix = "listen vsock :" + std::to_string(*port) + ": ";
  Descriptor socket = OpenStream(AF_VSOCK);
  if (socket.get() < 0) {
    return Error{Code::kUnavailable, prefix + "socket: " + ErrorText(errno)};
  }
  sockaddr_storage storage{};
  auto& vm = reinterpret_cast<sockaddr_vm&>(storage);
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = VMADDR_CID_ANY;
  vm.svm_port = *port == 0 ? VMADDR_PORT_ANY : *port;
  return BindAndListen(std::move(socket), storage, sizeof vm, prefix);
}

// A socket for a wildcard: one IPv6 socket serves both versions, unless the kernel lacks IPv6.
Descriptor OpenForEndpoint(Endpoint& endpoint, std::uint16_t port) {
  if (!endpoint.wildcard) return OpenStream(endpoint.address.ss_family);
  Descriptor socket = OpenStream(AF_INET6);
  // An address may still be missing where the protocol is there (disable_ipv6): ask for ::1.
  if (socket.get() >= 0) {
    const Descriptor probe = OpenStream(AF_INET6);
    const Endpoint loopback = V6(in6addr_loopback, 0, 0);
    if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&loopback.address), loopback.size) ==
        0) {
      SetOption(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
      endpoint = V6(in6addr_any, port, 0);
      return socket;
    }
  }
  endpoint = V4({htonl(INADDR_ANY)}, port);
  return OpenStream(AF_INET);
}

}  // namespace

Result<HostPort> SplitHostPort(std::string_view address) {
  const auto fail = [&](std::string_view why) -> Error {
    return InvalidArgument("address " + std::string(address) + ": " + std::string(why));
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return fail("missing port in address");
  HostPort split;
  std::size_t after_open = 0;
  std::size_t after_close = 0;
  if (address.front() == '[') {
    const std::size_t end = address.find(']');
    if (end == std::string_view::npos) return fail("missing ']' in address");
    if (end + 1 == address.size()) return fail("missing port in address");
    if (end + 1 != colon) {
      return fail(address[end + 1] == ':' ? "too many colons in address"
                                          : "missing port in address");
    }
    split.host = address.substr(1, end - 1);
    after_open = 1;
    after_close = end + 1;
  } else {
    split.host = address.substr(0, colon);
    if (split.host.find(':') != std::string::npos) return fail("too many colons in address");
  }
  if (address.find('[', after_open) != std::string_view::npos) {
    return fail("unexpected '[' in address");
  }
  if (address.find(']', after_close) != std::string_view::npos) {
    return fail("unexpected ']' in address");
  }
  split.port = address.substr(colon + 1);
  return split;
}

Result<std::uint16_t> ResolvePort(std::string_view port, std::string_view services) {
  if (port.empty()) return std::uint16_t{0};
  std::string_view digits = port;
  if (digits.front() == '+' || digits.front() == '-') digits.remove_prefix(1);
  if (digits.find_first_not_of("0123456789") == std::string_view::npos) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool negative = port.front() == '-' && value != 0;
    if (digits.empty()) return std::uint16_t{0};
    if (error != std::errc() || negative || value > 65535) {
      return InvalidArgument("address " + std::string(port) + ": invalid port");
    }
    return static_cast<std::uint16_t>(value);
  }
  // Lines of the form `http 80/tcp www # comment`.
  while (!services.empty()) {
    const std::size_t end = services.find('\n');
    std::string_view line = services.substr(0, end);
    services.remove_prefix(end == std::string_view::npos ? services.size() : end + 1);
    line = line.substr(0, line.find('#'));
    std::vector<std::string_view> words;
    while (true) {
      const std::size_t first = line.find_first_not_of(" \t\r");
      if (first == std::string_view::npos) break;
      line.remove_prefix(first);
      words.push_back(line.substr(0, line.find_first_of(" \t\r")));
      line.remove_prefix(words.back().size());
    }
    if (words.size() < 2 || !words[1].ends_with("/tcp")) continue;
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::uint16_t value = 0;
      if (i != 1 && EqualsIgnoringCase(words[i], port) &&
          std::from_chars(words[1].data(), words[1].data() + words[1].size(), value).ec ==
              std::errc()) {
        return value;
      }
    }
  }
  static constexpr std::array<std::pair<std::string_view, std::uint16_t>, 7> kKnown = {
      {{"http", 80},
       {"https", 443},
       {"ftp", 21},
       {"ssh", 22},
       {"telnet", 23},
       {"smtp", 25},
       {"domain", 53}}};
  for (const auto& [name, value] : kKnown) {
    if (EqualsIgnoringCase(name, port)) return value;
  }
  return InvalidArgument("lookup tcp/" + std::string(port) + ": unknown port");
}

Result<std::uint32_t> ParseVsockPort(std::string_view address) {
  if (address.starts_with(kVsockScheme)) address.remove_prefix(kVsockScheme.size());
  address = address.substr(0, address.find_first_of("/?#"));
  const Result<HostPort> split = SplitHostPort(address);
  if (!split) return split.error();
  std::uint32_t port = 0;
  const char* end = split->port.data() + split->port.size();
  const auto [stop, error] = std::from_chars(split->port.data(), end, port);
  if (error == std::errc::result_out_of_range) {
    return InvalidArgument("strconv.ParseUint: parsing \"" + split->port +
                           "\": value out of range");
  }
  if (error != std::errc() || stop != end) {
    return InvalidArgument("strconv.ParseUint: parsing \"" + split->port + "\": invalid syntax");
  }
  return port;
}

Result<int> OpenListener(std::string_view address) {
  if (address.starts_with(kVsockScheme)) return OpenVsock(address);
  const auto fail = [](const Error& error) -> Error {
    return {error.code, "listen tcp: " + error.message};
  };
  HostPort split;
  if (!address.empty()) {  // Go: an empty address is a wildcard with a port of its choice
    Result<HostPort> parts = SplitHostPort(address);
    if (!parts) return fail(parts.error());
    split = std::move(*parts);
  }
  std::ifstream services("/etc/services");
  const Result<std::uint16_t> port =
      ResolvePort(split.port, std::string(std::istreambuf_iterator<char>(services), {}));
  if (!port) return fail(port.error());

  Endpoint endpoint;
  if (split.host.empty()) {
    endpoint = V6(in6addr_any, *port, 0);
  } else if (auto literal = ParseLiteral(split.host, *port)) {
    endpoint = *literal;
  } else {
    const Result<Endpoint> found = Lookup(split.host, *port);
    if (!found) return fail(found.error());
    endpoint = *found;
  }
  // Go names the resolved address, and a wildcard by its port alone.
  const std::string prefix = "listen tcp " +
                             (split.host.empty() ? ":" + std::to_string(*port)
                                                 : AddressText(endpoint.address, endpoint.size)) +
                             ": ";
  Descriptor socket = OpenForEndpoint(endpoint, *port);
  if (socket.get() < 0) {
    return Error{Code::kUnavailable, prefix + "socket: " + ErrorText(errno)};
  }
  SetOption(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  return BindAndListen(std::move(socket), endpoint.address, endpoint.size, prefix);
}

std::string AddressText(const sockaddr_storage& address, socklen_t size) {
  char text[INET6_ADDRSTRLEN] = "";
  switch (address.ss_family) {
    case AF_INET: {
      const auto& in = reinterpret_cast<const sockaddr_in&>(address);
      inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
      return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
    }
    case AF_INET6: {
      const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
      const std::string port = std::to_string(ntohs(in.sin6_port));
      if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
        inet_ntop(AF_INET, in.sin6_addr.s6_addr + 12, text, sizeof text);
        return std::string(text) + ":" + port;
      }
      inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
      std::string zone;
      if (in.sin6_scope_id != 0) {
        char name[IF_NAMESIZE];
        zone = if_indextoname(in.sin6_scope_id, name) != nullptr
                   ? "%" + std::string(name)
                   : "%" + std::to_string(in.sin6_scope_id);
      }
      return "[" + std::string(text) + zone + "]:" + port;
    }
    case AF_VSOCK: {
      const auto& vm = reinterpret_cast<const sockaddr_vm&>(address);
      const char* kind = vm.svm_cid == VMADDR_CID_HYPERVISOR ? "hypervisor"
                         : vm.svm_cid == VMADDR_CID_LOCAL    ? "local"
                         : vm.svm_cid == VMADDR_CID_HOST     ? "host"
                                                             : "vm";
      return std::string(kind) + "(" + std::to_string(vm.svm_cid) +
             "):" + std::to_string(vm.svm_port);
    }
    case AF_UNIX: {
      const auto& un = reinterpret_cast<const sockaddr_un&>(address);
      const std::size_t offset = offsetof(sockaddr_un, sun_path);
      if (size <= offset) return "@";
      std::string path(un.sun_path, size - offset);
      if (path.front() == '\0') {
        path.front() = '@';
        return path;
      }
      return path.c_str();
    }
    default:
      return "";
  }
}

std::string LocalAddressText(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return AddressText(address, size);
}

std::string ErrorText(int error) {
  const char* text = strerrordesc_np(error);
  std::string words = text != nullptr ? text : "errno " + std::to_string(error);
  // Go's texts are glibc's without the capital ("Address already in use").
  if (words.size() > 1 && std::islower(static_cast<unsigned char>(words[1]))) {
    words[0] = LowerAscii(words[0]);
  }
  return words;
}

}  // namespace pgw::http
