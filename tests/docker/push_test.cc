#include "docker/registry/push.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "docker/read/layout_store.h"
#include "tests/docker/fake_registry.h"
#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using ::testing::Contains;
using testing::FakeRegistry;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SampleImage;
using testing::TemporaryFolder;

class PushTest : public ::testing::Test {
 protected:
  PushTest() : image_(SampleImage().Build()), archive_(testing::HybridArchive(image_)) {}

  // A login for the registry in Docker's configuration.
  void LogIn(const FakeRegistry& registry, const std::string& entry) {
    config_file_ =
        home_.Write("config.json", R"({"auths": {")" + registry.host() + "\": " + entry + "}}");
  }
  static std::string Password() { return R"({"auth": ")" + EncodeBase64("alice:secret") + "\"}"; }

  Result<Digest> Push(const FakeRegistry& registry, const std::string& mount_from = "") {
    return PushTo(registry.host(), archive_, mount_from);
  }
  Result<Digest> PushTo(const std::string& host, const std::string& archive,
                        const std::string& mount_from = "") {
    const auto store = OpenArchive(std::make_unique<MemoryBytes>(archive));
    if (!store) return store.error();
    RegistryOptions options;
    options.credentials.config_file = config_file_;
    options.attempts_max = 4;
    options.sleep = [this](std::chrono::milliseconds pause) { pauses_.push_back(pause); };
    RegistryClient client({host, "team/program", "1.2.3"}, mount_from, std::move(options));
    PushOptions push;
    push.upload.piece_bytes = 100;
    push.progress = [this](std::string_view line) { progress_.emplace_back(line); };
    return PushLayout(**store, client, push);
  }
  void ExpectComplete(const FakeRegistry& registry, const Result<Digest>& pushed) {
    ASSERT_TRUE(pushed) << pushed.error().message;
    EXPECT_EQ(*pushed, image_.index.digest);
    const auto manifests = registry.manifests();
    ASSERT_TRUE(manifests.contains("1.2.3"));
    EXPECT_EQ(Digest::Of(manifests.at("1.2.3")), image_.index.digest);
    for (const PlatformImage& platform : image_.platforms) {
      EXPECT_TRUE(manifests.contains(platform.manifest.digest.text()));
      for (const Descriptor& layer : platform.layers) {
        EXPECT_EQ(registry.blobs()[layer.digest.text()], image_.blobs.at(layer.digest));
      }
    }
  }

  Image image_;
  std::string archive_;
  TemporaryFolder home_;
  std::string config_file_;
  std::vector<std::chrono::milliseconds> pauses_;
  std::vector<std::string> progress_;
};

TEST_F(PushTest, BringsEverythingWithTheTagLast) {
  const FakeRegistry registry;
  ExpectComplete(registry, Push(registry));
  const auto seen = registry.seen();
  EXPECT_EQ(seen[seen.size() - 2].method, "PUT");
  EXPECT_EQ(seen[seen.size() - 2].target, "/v2/team/program/manifests/1.2.3");
  EXPECT_THAT(pauses_, IsEmpty());
  EXPECT_THAT(progress_, Contains(HasSubstr(" as 1.2.3: pushed")));
}

TEST_F(PushTest, SendsInPieces) {
  const FakeRegistry registry;
  ExpectComplete(registry, Push(registry));
  const std::uint64_t size = image_.platforms[0].config.size;
  ASSERT_GT(size, 200u);
  const auto seen = registry.seen();
  EXPECT_EQ(seen[2].content_range, "0-99");
  EXPECT_EQ(seen[3].content_range, "100-199");
}

TEST_F(PushTest, SendsNothingThatIsThere) {
  const FakeRegistry registry;
  ExpectComplete(registry, Push(registry));
  const std::size_t posts = registry.Count("POST", "");
  progress_.clear();
  ExpectComplete(registry, Push(registry));
  EXPECT_EQ(registry.Count("POST", ""), posts);
  EXPECT_THAT(progress_, Contains(HasSubstr("is there")));
}

TEST_F(PushTest, TakesBlobsOverFromAnotherRepository) {
  FakeRegistry registry;
  const Descriptor& layer = image_.platforms[0].layers[1];
  registry.AddBlob("mountable:" + layer.digest.text(), image_.blobs.at(layer.digest));
  ExpectComplete(registry, Push(registry, "team/old"));
  EXPECT_THAT(progress_, Contains(HasSubstr(layer.digest.text() + ", " +
                                            std::to_string(layer.size) + " bytes: mounted")));
  EXPECT_GT(registry.Count("POST", "from=team%2Fold"), 0u);
}

TEST_F(PushTest, ResumesWhereTheConnectionBroke) {
  const FakeRegistry registry({.broken_pieces = 3});
  ExpectComplete(registry, Push(registry));
  EXPECT_EQ(pauses_.size(), 3u);
  bool resumed = false;
  for (const auto& each : registry.seen()) resumed = resumed || each.content_range == "50-149";
  EXPECT_TRUE(resumed);
}

TEST_F(PushTest, BeginsAgainWhereTheUploadIsForgotten) {
  const FakeRegistry registry({.forgotten_uploads = 2});
  ExpectComplete(registry, Push(registry));
}

TEST_F(PushTest, GivesUpWhereUploadsAreForgottenForEver) {
  const FakeRegistry registry({.forgets_when_asked = true});
  const Result<Digest> pushed = Push(registry);
  ASSERT_FALSE(pushed);
  EXPECT_THAT(pushed.error().message, HasSubstr("finishing its upload: HTTP 404"));
  // Four times the same blob, whatever number of pieces it has.
  EXPECT_EQ(registry.Count("POST", ""), 4u);
  EXPECT_EQ(registry.Count("PUT", ""), 4u);
  EXPECT_GT(registry.Count("PATCH", ""), 4u);
  EXPECT_EQ(pauses_.size(), 3u);
}

TEST_F(PushTest, SeesThatAnUnansweredUploadIsDone) {
  const FakeRegistry registry({.unanswered_puts = 1});
  ExpectComplete(registry, Push(registry));
  EXPECT_EQ(pauses_.size(), 1u);
}

TEST_F(PushTest, TriesAgainWhileTheRegistryIsBusy) {
  const FakeRegistry registry({.busy_answers = 3});
  ExpectComplete(registry, Push(registry));
  ASSERT_EQ(pauses_.size(), 3u);
  EXPECT_LT(pauses_[0], pauses_[2]);
}

TEST_F(PushTest, GivesUpAfterSomeAttempts) {
  const FakeRegistry registry({.busy_answers = 100});
  const Result<Digest> pushed = Push(registry);
  ASSERT_FALSE(pushed);
  EXPECT_THAT(pushed.error().message, HasSubstr("HTTP 503"));
  EXPECT_EQ(registry.seen().size(), 4u);
}

TEST_F(PushTest, LogsInWithPassword) {
  const FakeRegistry registry({.login = FakeRegistry::Login::kBasic});
  LogIn(registry, Password());
  ExpectComplete(registry, Push(registry));
}

TEST_F(PushTest, LogsInWithToken) {
  const FakeRegistry registry({.login = FakeRegistry::Login::kBearer});
  LogIn(registry, Password());
  ExpectComplete(registry, Push(registry, "team/old"));
  EXPECT_EQ(registry.Count("GET",
                           "/token?service=fake&scope=repository%3Ateam%2Fprogram%3Apull%2Cpush"
                           "&scope=repository%3Ateam%2Fold%3Apull"),
            1u);
}

TEST_F(PushTest, LogsInWithIdentityToken) {
  const FakeRegistry registry({.login = FakeRegistry::Login::kBearer});
  LogIn(registry, R"({"identitytoken": "identity"})");
  ExpectComplete(registry, Push(registry));
  EXPECT_EQ(registry.Count("POST", "/token"), 1u);
}

TEST_F(PushTest, SaysThatALoginIsMissingOrWrong) {
  const FakeRegistry basic({.login = FakeRegistry::Login::kBasic});
  EXPECT_THAT(Push(basic).error().message,
              HasSubstr("wants a login; there is none for " + basic.host()));
  const FakeRegistry bearer({.login = FakeRegistry::Login::kBearer});
  LogIn(bearer, R"({"username": "alice", "password": "wrong"})");
  const std::string message = Push(bearer).error().message;
  EXPECT_THAT(message, HasSubstr("the token service: HTTP 401"));
  EXPECT_EQ(message.find("wrong"), std::string::npos);
}

TEST_F(PushTest, KeepsCredentialsFromOtherHosts) {
  const FakeRegistry other;
  const FakeRegistry registry(
      {.login = FakeRegistry::Login::kBasic, .uploads_go_to = other.origin()});
  LogIn(registry, Password());
  (void)Push(registry).has_value();
  ASSERT_GT(other.seen().size(), 0u);
  for (const auto& each : other.seen()) EXPECT_EQ(each.authorization, "") << each.target;
  const FakeRegistry target;
  const FakeRegistry redirecting(
      {.login = FakeRegistry::Login::kBasic, .everything_goes_to = target.origin()});
  LogIn(redirecting, Password());
  (void)Push(redirecting).has_value();
  ASSERT_GT(target.seen().size(), 0u);
  for (const auto& each : target.seen()) EXPECT_EQ(each.authorization, "") << each.target;
}

TEST_F(PushTest, RefusesPlainHttpBeyondLoopback) {
  const FakeRegistry registry({.uploads_go_to = "http://registry.example:80"});
  EXPECT_THAT(Push(registry).error().message,
              HasSubstr("plain http is only for loopback hosts; nothing was sent"));
  const FakeRegistry token(
      {.login = FakeRegistry::Login::kBearer, .realm = "http://registry.example/token"});
  LogIn(token, Password());
  EXPECT_THAT(Push(token).error().message, HasSubstr("plain http is only for loopback hosts"));
}

TEST_F(PushTest, EndsRedirectsThatGoInCircles) {
  const FakeRegistry registry({.redirects_in_circles = true});
  EXPECT_THAT(Push(registry).error().message, HasSubstr("too many redirects"));
  EXPECT_EQ(registry.seen().size(), 6u);
}

TEST_F(PushTest, SendsNothingOfABrokenImage) {
  const FakeRegistry registry;
  std::string broken = archive_;
  const std::string& layer = image_.blobs.at(image_.platforms[0].layers[1].digest);
  broken[broken.find(layer) + layer.size() / 2] ^= 1;
  const Result<Digest> pushed = PushTo(registry.host(), broken);
  ASSERT_FALSE(pushed);
  EXPECT_THAT(pushed.error().message, HasSubstr("nothing was sent"));
  EXPECT_THAT(registry.seen(), IsEmpty());
}

TEST_F(PushTest, BoundsAnswers) {
  const FakeRegistry registry({.answer_bytes = 5u << 20});
  EXPECT_THAT(Push(registry).error().message, HasSubstr("the answer is too large"));
}

TEST_F(PushTest, NamesRegistryThatIsNotThere) {
  std::string host;
  {
    const FakeRegistry gone;
    host = gone.host();
  }
  const Result<Digest> pushed = PushTo(host, archive_);
  ASSERT_FALSE(pushed);
  EXPECT_THAT(pushed.error().message, HasSubstr("http://" + host + ": connecting: "));
  EXPECT_EQ(pauses_.size(), 3u);
}

TEST(CredentialsTest, AreFoundUnderEachName) {
  const TemporaryFolder home;
  for (const char* const key :
       {"r.example", "https://r.example", "https://r.example/v1/", "https://r.example/v2/"}) {
    const CredentialsPlace place{home.Write("config.json", std::string(R"({"auths": {")") + key +
                                                               R"(": {"auth": ")" +
                                                               EncodeBase64("bob:a:b") + "\"}}}")};
    const auto found = FindCredentials(place, "r.example");
    ASSERT_TRUE(found && *found) << key;
    EXPECT_EQ((*found)->user, "bob");
    EXPECT_EQ((*found)->password, "a:b");
    EXPECT_FALSE(*FindCredentials(place, "other.example"));
  }
}

TEST(CredentialsTest, AreNotNeeded) {
  EXPECT_FALSE(*FindCredentials({}, "r.example"));
  EXPECT_FALSE(*FindCredentials({"/nowhere/config.json"}, "r.example"));
}

TEST(CredentialsTest, RefuseBrokenFilesWithoutShowingThem) {
  const TemporaryFolder home;
  const auto error = [&](const std::string& text) {
    return FindCredentials({home.Write("config.json", text)}, "r.example").error().message;
  };
  EXPECT_THAT(error("{"), HasSubstr("config.json: JSON, line 1"));
  const std::string broken = error(R"({"auths": {"r.example": {"auth": "c2VjcmV0"}}})");
  EXPECT_THAT(broken, HasSubstr("auths.r.example: \"auth\" is not user:password in base64"));
  EXPECT_EQ(broken.find("c2VjcmV0"), std::string::npos);
  EXPECT_THAT(error(R"({"credHelpers": {"r.example": "../bin/sh"}})"),
              HasSubstr("is no credential helper's name"));
}

// Puts programs into PATH for a test.
class HelperTest : public ::testing::Test {
 protected:
  HelperTest() : path_(std::getenv("PATH")) {
    ::setenv("PATH", (bin_.path() + ":" + path_).c_str(), 1);
  }
  ~HelperTest() override { ::setenv("PATH", path_.c_str(), 1); }
  void AddHelper(const std::string& name, const std::string& script) const {
    const std::string path = bin_.Write("docker-credential-" + name, "#!/bin/sh\n" + script);
    ::chmod(path.c_str(), 0755);
  }
  Result<std::optional<Credentials>> Find(const std::string& config) const {
    return FindCredentials({bin_.Write("config.json", config)}, "r.example");
  }

  const std::string path_;
  const TemporaryFolder bin_;
};

TEST_F(HelperTest, IsAskedForTheRegistry) {
  AddHelper(
      "test",
      R"(read server; [ "$1" = get ] && echo "{\"Username\": \"u-$server\", \"Secret\": \"s\"}")");
  const auto found = Find(R"({"credHelpers": {"r.example": "test"}})");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->user, "u-r.example");
  EXPECT_EQ((*found)->password, "s");
}

TEST_F(HelperTest, MayGiveAnIdentityToken) {
  AddHelper("test", R"(echo '{"Username": "<token>", "Secret": "t"}')");
  const auto found = Find(R"({"auths": {"r.example": {}}, "credsStore": "test"})");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->identity_token, "t");
  EXPECT_EQ((*found)->user, "");
}

TEST_F(HelperTest, MayKnowNothingOrFail) {
  AddHelper("test", "echo credentials not found in native keychain; exit 1");
  EXPECT_FALSE(*Find(R"({"credsStore": "test"})"));
  AddHelper("test", "echo locked; exit 3");
  EXPECT_EQ(Find(R"({"credsStore": "test"})").error().message,
            "docker-credential-test: exit code 3");
  AddHelper("test", "head -c 100000 /dev/zero");
  EXPECT_EQ(Find(R"({"credsStore": "test"})").error().message,
            "docker-credential-test: writes too much");
  EXPECT_THAT(Find(R"({"credsStore": "missing"})").error().message, HasSubstr("No such file"));
}

TEST(Base64Test, IsReadAndWritten) {
  for (const auto& [plain, coded] :
       {std::pair{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}}) {
    EXPECT_EQ(EncodeBase64(plain), coded);
    EXPECT_EQ(DecodeBase64(coded), plain);
  }
  EXPECT_EQ(DecodeBase64("a b"), std::nullopt);
}

TEST(ChallengeTest, IsReadInEachForm) {
  const auto bearer = ParseChallenge(
      R"(Basic realm="x", Bearer realm="https://a/t?x=1,2",service="s \"q\"", scope=a:b)");
  ASSERT_TRUE(bearer);
  EXPECT_EQ(bearer->scheme, "bearer");
  EXPECT_EQ(bearer->Get("realm"), "https://a/t?x=1,2");
  EXPECT_EQ(bearer->Get("service"), "s \"q\"");
  EXPECT_EQ(bearer->Get("scope"), "a:b");
  EXPECT_EQ(ParseChallenge("BASIC realm=\"r\"")->scheme, "basic");
  for (const char* const text :
       {"", "Negotiate", "=", "\"", "a=\"", ",,,", "Digest realm=\"bearer\""}) {
    EXPECT_FALSE(ParseChallenge(text)) << text;
  }
}

TEST(UrlTest, IsReadAndResolved) {
  const Url url = *ParseUrl("https://Host.example:8443/a/b?c=d#e");
  EXPECT_EQ(url.text(), "https://Host.example:8443/a/b?c=d");
  EXPECT_EQ(url.origin(), "https://host.example:8443");
  EXPECT_EQ(ParseUrl("http://[::1]")->authority(), "[::1]");
  EXPECT_EQ(ResolveUrl(url, "/x")->text(), "https://Host.example:8443/x");
  EXPECT_EQ(ResolveUrl(url, "//o.example/x")->text(), "https://o.example/x");
  EXPECT_EQ(ResolveUrl(url, "http://o.example")->text(), "http://o.example/");
  for (const char* const text : {"ftp://a/", "https://", "https://user@a/", "https://a b/",
                                 "https://a:x/", "https://[::1", "a/b", "https://a/\r\nX: y"}) {
    EXPECT_FALSE(ParseUrl(text)) << text;
  }
  EXPECT_FALSE(ResolveUrl(url, "/a\r\nHost: x"));
}

TEST(UrlTest, KnowsLoopbackHosts) {
  for (const char* const host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"})
    EXPECT_TRUE(IsLoopback(host));
  for (const char* const host :
       {"127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "::2", "128.0.0.1"})
    EXPECT_FALSE(IsLoopback(host));
}

}  // namespace
}  // namespace pgw::image
