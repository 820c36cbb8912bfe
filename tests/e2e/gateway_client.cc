// Pushes with prometheus-cpp's own Gateway: what a C++ user of a Pushgateway runs.
//
//   gateway_client PORT
//
// Prints the status of each call; the caller looks at what the server then holds.
#include <prometheus/counter.h>
#include <prometheus/gateway.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>

#include <iostream>
#include <memory>
#include <string>

namespace {

// The library itself prints the body of an answer, so this line comes after it.
void Report(const std::string& call, int status) {
  std::cout << call << " " << status << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: gateway_client PORT\n";
    return 2;
  }
  const std::string port = argv[1];

  auto registry = std::make_shared<prometheus::Registry>();
  auto& runs =
      prometheus::BuildCounter().Name("cpp_client_runs_total").Help("Runs.").Register(*registry);
  runs.Add({{"step", "first"}}).Increment(3);
  runs.Add({{"step", "quo\"te"}}).Increment(1.5);
  auto& seconds =
      prometheus::BuildHistogram().Name("cpp_client_seconds").Help("Duration.").Register(*registry);
  auto& histogram = seconds.Add({}, prometheus::Histogram::BucketBoundaries{0.1, 1});
  histogram.Observe(0.05);
  histogram.Observe(5);
  auto& sizes =
      prometheus::BuildSummary().Name("cpp_client_size_bytes").Help("Size.").Register(*registry);
  sizes.Add({}, prometheus::Summary::Quantiles{{0.5, 0.05}}).Observe(7);

  prometheus::Gateway gateway("127.0.0.1", port, "cpp_client", {{"instance", "i1"}});
  gateway.RegisterCollectable(registry);
  Report("push", gateway.Push());

  auto more = std::make_shared<prometheus::Registry>();
  prometheus::BuildGauge()
      .Name("cpp_client_gauge")
      .Help("A gauge.")
      .Register(*more)
      .Add({})
      .Set(42);
  prometheus::Gateway adding("127.0.0.1", port, "cpp_client", {{"instance", "i1"}});
  adding.RegisterCollectable(more);
  // In this library Push() is a POST, which adds, and PushAdd() a PUT, which replaces.
  Report("add", adding.AsyncPush().get());
  prometheus::Gateway replacing("127.0.0.1", port, "cpp_replaced");
  replacing.RegisterCollectable(more);
  Report("replace", replacing.PushAdd());

  // The same name with another type in another group is refused.
  auto wrong = std::make_shared<prometheus::Registry>();
  prometheus::BuildGauge()
      .Name("cpp_client_runs_total")
      .Help("Runs.")
      .Register(*wrong)
      .Add({})
      .Set(1);
  prometheus::Gateway conflicting("127.0.0.1", port, "cpp_conflict");
  conflicting.RegisterCollectable(wrong);
  Report("conflict", conflicting.Push());

  prometheus::Gateway leaving("127.0.0.1", port, "cpp_gone");
  leaving.RegisterCollectable(more);
  Report("push to delete", leaving.Push());
  Report("delete", leaving.Delete());
}
