#include "server/http/listen_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace pgw::http {
namespace {

std::string Split(std::string_view address) {
  const Result<HostPort> split = SplitHostPort(address);
  return split ? split->host + "|" + split->port : split.error().message;
}

TEST(SplitHostPortTest, FollowsGo) {
  EXPECT_EQ(Split(":9091"), "|9091");
  EXPECT_EQ(Split("127.0.0.1:0"), "127.0.0.1|0");
  EXPECT_EQ(Split("[::1]:http"), "::1|http");
  EXPECT_EQ(Split("[fe80::1%eth0]:1"), "fe80::1%eth0|1");
  EXPECT_EQ(Split("host:"), "host|");
  EXPECT_EQ(Split("host"), "address host: missing port in address");
  EXPECT_EQ(Split(""), "address : missing port in address");
  EXPECT_EQ(Split("1:2:3"), "address 1:2:3: too many colons in address");
  EXPECT_EQ(Split("::1"), "address ::1: too many colons in address");
  EXPECT_EQ(Split("[::1"), "address [::1: missing ']' in address");
  EXPECT_EQ(Split("[::1]"), "address [::1]: missing port in address");
  EXPECT_EQ(Split("[::1]x:1"), "address [::1]x:1: missing port in address");
  EXPECT_EQ(Split("[::1]:1:2"), "address [::1]:1:2: too many colons in address");
  EXPECT_EQ(Split("a[b:1"), "address a[b:1: unexpected '[' in address");
  EXPECT_EQ(Split("a]b:1"), "address a]b:1: unexpected ']' in address");
}

std::string Port(std::string_view port, std::string_view services = "") {
  const Result<std::uint16_t> resolved = ResolvePort(port, services);
  return resolved ? std::to_string(*resolved) : resolved.error().message;
}

TEST(ResolvePortTest, TakesNumbers) {
  EXPECT_EQ(Port(""), "0");
  EXPECT_EQ(Port("0"), "0");
  EXPECT_EQ(Port("09091"), "9091");
  EXPECT_EQ(Port("65535"), "65535");
  EXPECT_EQ(Port("65536"), "address 65536: invalid port");
  EXPECT_EQ(Port("99999999999999999999"), "address 99999999999999999999: invalid port");
  EXPECT_EQ(Port("-1"), "address -1: invalid port");
}

TEST(ResolvePortTest, TakesServiceNames) {
  EXPECT_EQ(Port("http"), "80");
  EXPECT_EQ(Port("HTTPS"), "443");
  EXPECT_EQ(Port("nonsense"), "lookup tcp/nonsense: unknown port");
  const std::string_view services =
      "# comment\n\npush\t9091/udp\npush 9092/tcp alias other # not-this\nbroken\nlast 7/tcp";
  EXPECT_EQ(Port("push", services), "9092");
  EXPECT_EQ(Port("Other", services), "9092");
  EXPECT_EQ(Port("last", services), "7");
  EXPECT_EQ(Port("not-this", services), "lookup tcp/not-this: unknown port");
  EXPECT_EQ(Port("9092/tcp", services), "lookup tcp/9092/tcp: unknown port");
}

TEST(VsockAddressTest, TakesThePortAlone) {
  EXPECT_EQ(*ParseVsockPort("vsock://:9100"), 9100u);
  EXPECT_EQ(*ParseVsockPort("vsock://anything:4294967295"), 4294967295u);
  EXPECT_FALSE(ParseVsockPort("vsock://:4294967296"));
  EXPECT_FALSE(ParseVsockPort("vsock://:x"));
  EXPECT_FALSE(ParseVsockPort("vsock://"));
  EXPECT_FALSE(ParseVsockPort("vsock://:"));
}

std::string ListenError(std::string_view address) {
  const Result<int> listener = OpenListener(address);
  if (!listener) return listener.error().message;
  close(*listener);
  return "";
}

TEST(OpenListenerTest, ReportsInGosWords) {
  EXPECT_EQ(ListenError("nothing"), "listen tcp: address nothing: missing port in address");
  EXPECT_EQ(ListenError(":99999"), "listen tcp: address 99999: invalid port");
  EXPECT_EQ(ListenError(":nonsense"), "listen tcp: lookup tcp/nonsense: unknown port");
  EXPECT_EQ(ListenError("198.51.100.1:80"),
            "listen tcp 198.51.100.1:80: bind: cannot assign requested address");
}

TEST(OpenListenerTest, NamesATakenWildcardByItsPort) {
  const Result<int> first = OpenListener(":0");
  ASSERT_TRUE(first) << first.error().message;
  const std::string address = LocalAddressText(*first);
  const std::string port = address.substr(address.rfind(':'));
  EXPECT_EQ(ListenError(port), "listen tcp " + port + ": bind: address already in use");
  close(*first);
}

TEST(OpenListenerTest, ResolvesNamesAndEveryFormOfAddress) {
  for (const char* address : {"localhost:0", "127.0.0.1:0", "0.0.0.0:0", ":0", "", ":"}) {
    const Result<int> listener = OpenListener(address);
    ASSERT_TRUE(listener) << address << ": " << listener.error().message;
    int listening = 0;
    socklen_t size = sizeof listening;
    getsockopt(*listener, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
    EXPECT_EQ(listening, 1);
    close(*listener);
  }
  const Result<int> local = OpenListener("localhost:0");
  EXPECT_TRUE(LocalAddressText(*local).starts_with("127.0.0.1:"));
  close(*local);
}

template <typename Address>
std::string Text(const Address& address, socklen_t size = sizeof(Address)) {
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, size);
  return AddressText(storage, size);
}

TEST(AddressTextTest, FollowsGo) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(53854);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(Text(v4), "127.0.0.1:53854");
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(1);
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(Text(v6), "[::1]:1");
  inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6.sin6_addr);
  EXPECT_EQ(Text(v6), "10.1.2.3:1");
  inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr);
  v6.sin6_scope_id = 1;
  EXPECT_EQ(Text(v6), "[fe80::1%lo]:1");
  sockaddr_vm vm{};
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = 3;
  vm.svm_port = 9100;
  EXPECT_EQ(Text(vm), "vm(3):9100");
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  EXPECT_EQ(Text(un, sizeof(sa_family_t)), "@");
  std::strcpy(un.sun_path, "/run/s");
  EXPECT_EQ(Text(un), "/run/s");
}

TEST(ErrorTextTest, IsGlibcsWithoutTheCapital) {
  EXPECT_EQ(ErrorText(EADDRINUSE), "address already in use");
  EXPECT_EQ(ErrorText(EACCES), "permission denied");
  EXPECT_EQ(ErrorText(EMFILE), "too many open files");
}

}  // namespace
}  // namespace pgw::http
