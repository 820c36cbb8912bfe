# The front door. Everything here is a short way to say something to CMake, ctest or apt;
# `make help` lists it. Works on a fresh Debian 12: what is missing is installed through apt.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := images
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# A folder of captured .prom payloads for the Kubernetes run; without it generated ones are used.
PAYLOADS ?=
# Arguments for `make run`.
ARGS ?= --metric.timetolive
FUZZ_SECONDS ?= 10
# What the images are built for; riscv64, ppc64le and s390x are the others that cross/ knows.
ARCHS ?= amd64 arm64 arm
# Where the images go and are named for, e.g. registry.example/team/pushgateway-ttl.
IMAGE ?=
# 1 pushes images that nobody could build again.
FORCE ?=

PACKAGES_build := cmake ninja-build g++ pkg-config libboost1.81-dev libboost-json1.81-dev zlib1g-dev \
  libprotobuf-dev protobuf-compiler prometheus-cpp-dev libcivetweb-dev libssl-dev libsnappy-dev
PACKAGES_test := $(PACKAGES_build) libgtest-dev libgmock-dev libbenchmark-dev libcurl4-openssl-dev python3 curl \
  git openssl ca-certificates
PACKAGES_bench := $(PACKAGES_test)
PACKAGES_lint := $(PACKAGES_test) clang-format-19 clang-tidy-19
PACKAGES_images := clang-19 lld-19 llvm-19 cmake ninja-build protobuf-compiler dpkg-dev git gpgv debian-archive-keyring
PACKAGES_smoke := $(PACKAGES_images) qemu-user-static python3
PACKAGES_reproduce := $(PACKAGES_images) faketime
PACKAGES_fresh := debootstrap git
PACKAGES_verify := $(PACKAGES_lint) $(PACKAGES_smoke) libclang-rt-19-dev

.PHONY: help
help: ## list the targets
	@echo "pushgateway-ttl: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Plain make is make images."

.PHONY: images
images: programs ## cross-compile for ARCHS (amd64 arm64 arm) and pack build/images; IMAGE=… names them
	IMAGE="$(IMAGE)" cross/pack.sh $(ARCHS)

.PHONY: programs
programs: build/deps-images ## the release programs alone, to build/bin
	JOBS=$(JOBS) cross/build.sh $(ARCHS)

.PHONY: load
load: can-load images ## this machine's image into docker or podman
	cross/deliver.sh load

.PHONY: push
push: can-push images ## the images to a registry: IMAGE=registry/repository (FORCE=1: uncommitted changes, too)
	FORCE="$(FORCE)" cross/deliver.sh push "$(IMAGE)"

# Before the images are built: where would they go?
.PHONY: can-load can-push
can-load:
	@docker info >/dev/null 2>&1 || podman info >/dev/null 2>&1 || { echo "neither docker nor podman works here"; exit 1; }
can-push:
	@FORCE="$(FORCE)" cross/deliver.sh may-push "$(IMAGE)"

.PHONY: smoke
smoke: build/deps-smoke programs ## run the release programs, under qemu where they are not this machine's
	python3 tests/e2e/release_smoke.py --report build/verify-smoke.xml $(foreach arch,$(ARCHS),build/bin/$(arch)/pushgateway)
	@# 77: skipped, where the machine forbids namespaces.
	python3 tests/e2e/release_names.py --report build/verify-names.xml $(foreach arch,$(ARCHS),build/bin/$(arch)/pushgateway) || [ $$? = 77 ]
	for arch in $(ARCHS); do \
	  [ "$$arch" != "$$(dpkg --print-architecture)" ] || \
	    python3 tests/e2e/conformance.py --report build/verify-conformance.xml --program build/bin/$$arch/pushgateway --jobs 4; done

.PHONY: fresh
fresh: ## as root: make run and make test on a new, minimal Debian in a chroot; ten minutes and more
	@if [ "$$(id -u)" != 0 ]; then echo "fresh: skipped: not root, who alone can make a chroot"; exit 0; fi; \
	$(MAKE) build/deps-fresh; tests/fresh.sh || [ $$? = 77 ]

# On the program that ships, if this machine is one of its architectures.
.PHONY: kills
KILLS := 10
kills: programs ## kill -9 under load, KILLS=200 times for the long run: nothing acknowledged may be missing
	for arch in $(ARCHS); do \
	  [ "$$arch" != "$$(dpkg --print-architecture)" ] || \
	    python3 -B tests/e2e/persistence.py --program build/bin/$$arch/pushgateway --only kills --kills $(KILLS); done

.PHONY: reproduce
reproduce: build/deps-reproduce ## build the last commit twice, under different circumstances, and compare
	cross/reproduce.sh $(ARCHS)

.PHONY: sysroots
sysroots: build/deps-images ## the pinned sysroots alone, to build/sysroots
	cross/sysroot.sh $(ARCHS)

.PHONY: sysroots-refresh
sysroots-refresh: build/deps-images ## renew the pinned packages of all architectures in cross/packages
	cross/refresh.sh

.PHONY: run
run: build ## build and start ./pushgateway (ARGS="…" for other flags)
	./pushgateway $(ARGS)

.PHONY: build
build: build/deps-build ## leave an optimised ./pushgateway here
	cmake --preset release >build/release.log || { cat build/release.log; exit 1; }
	cmake --build --preset release -j $(JOBS) --target pushgateway
	ln -f build/release/server/pushgateway pushgateway 2>/dev/null || cp build/release/server/pushgateway pushgateway

.PHONY: test
test: build/deps-test ## unit tests, then everything from outside (PAYLOADS=dir for captured payloads)
	cmake --preset dev -DPGW_PAYLOADS="$(if $(PAYLOADS),$(abspath $(PAYLOADS)))"
	@# What the end-to-end tests compare with is downloaded while the compiler works.
	python3 tests/e2e/peers.py >build/peers.log 2>&1 & \
	  cmake --build --preset dev -j $(JOBS); wait
	cat build/peers.log
	rm -f build/test-*.xml
	status=0; \
	  ctest --preset dev -L unit -j $(JOBS) --output-junit $(CURDIR)/build/test-unit.xml || status=1; \
	  ctest --preset dev -L e2e -j 3 --output-junit $(CURDIR)/build/test-e2e.xml || status=1; \
	  python3 tests/totals.py build/test-unit.xml build/test-e2e.xml || status=1; exit $$status


.PHONY: verify
verify: build/deps-verify ## lint, sanitizers over the unit tests, ten seconds of each fuzzer, the release images, kill -9 under load, a short load run
	rm -f build/verify-*.xml
	status=0; \
	  $(MAKE) lint || status=1; \
	  $(MAKE) sanitize-fuzz || status=1; \
	  $(MAKE) sanitize-tsan || status=1; \
	  $(MAKE) fuzz || status=1; \
	  $(MAKE) verify-images || status=1; \
	  $(MAKE) kills || status=1; \
	  $(MAKE) verify-load || status=1; \
	  python3 tests/totals.py build/verify-*.xml || status=1; exit $$status

# The images as they ship: packed twice, to the same bytes, checked, and their programs run.
.PHONY: verify-images
verify-images: images
	OUTPUT=build/images-again cross/pack.sh $(ARCHS) >/dev/null
	diff -r build/images build/images-again
	rm -rf build/images-again
	for form in build/images/oci build/images/airgap/*.tar build/images/*.tar; do build/bin/pgw-pack verify "$$form"; done
	@# Into what people load them with. 77: none of it can be had or run here.
	python3 tests/e2e/image_loads.py --report build/verify-loads.xml --program build/bin/pgw-pack --image build/images || [ $$? = 77 ]
	$(MAKE) smoke

# Builds a sanitizer preset and runs the unit tests on it. The fuzz preset is asan-ubsan with the
# fuzzer's instrumentation, so that one build serves both.
sanitize-%: build/deps-verify
	cmake --preset $* >build/$*.log || { cat build/$*.log; exit 1; }
	cmake --build --preset $* -j $(JOBS)
	ctest --test-dir build/$* --output-on-failure -L unit -j $(JOBS) --output-junit $(CURDIR)/build/verify-$*.xml

# The tables of docs/performance.md and README.md come from here. Goals that are missed are shown, they are no error;
# what expired early or late is.
.PHONY: bench bench-full
bench: RUN := short
bench: measure ## micro benchmarks, then a short load run beside the peers; writes docs/performance.md
bench-full: RUN := full
bench-full: measure ## the same, longer: every scenario, 1,000,000 series, 10,000 stalled clients

# What is measured is the program that ships, and the empty handler built as it is, so this needs what images need; the
# micro benchmarks and the load generator are of the distribution's compiler.
.PHONY: measure build-bench
measure: override ARCHS = $(shell dpkg --print-architecture)
measure: build-bench programs
	cmake --build build/cross-$(ARCHS) -j $(JOBS) --target http_empty_server
	@# 77: one of them cannot be had, and is left out.
	python3 tests/e2e/peers.py --dir build/peers pushgateway nginx victoria-metrics || [ $$? = 77 ]
	mkdir -p build/bench
	for bench in exposition store routes; do build/release/bench/$${bench}_bench --benchmark_out=build/bench/$$bench.json; done
	status=0; python3 -B bench/load/matrix.py --run $(RUN) --json build/bench/load.json \
	    --ours build/bin/$(ARCHS)/pushgateway --empty build/cross-$(ARCHS)/bench/http_empty_server || status=1; \
	  python3 -B bench/load/tables.py --json build/bench/load.json \
	    --micro build/bench/{exposition,store,routes}.json -- docs/performance.md README.md || status=1; exit $$status
build-bench: build/deps-bench
	cmake --preset release -DPGW_BENCH=ON >build/release.log || { cat build/release.log; exit 1; }
	cmake --build --preset release -j $(JOBS)

.PHONY: bench-compare has-base
BASE ?=
bench-compare: has-base build-bench ## is this tree slower than BASE=revision? Ratios of runs in turns
	python3 -B bench/load/revisions.py --base "$(BASE)" --jobs $(JOBS)

has-base:
	@[ -n "$(BASE)" ] || { echo "make bench-compare BASE=revision"; exit 1; }

# The load bench in its smallest form on the program that ships: what expires early or late, and whether the scripts
# that measure still work. A minute, besides building the bench where `make test` has not.
.PHONY: verify-load
verify-load: build/deps-test programs
	cmake --preset dev >build/dev.log || { cat build/dev.log; exit 1; }
	cmake --build --preset dev -j $(JOBS) --target pushgateway-load http_empty_server
	for arch in $(ARCHS); do \
	  [ "$$arch" != "$$(dpkg --print-architecture)" ] || \
	    python3 -B bench/load/matrix.py --run smoke --build build/dev --ours build/bin/$$arch/pushgateway \
	      --report build/verify-load.xml; done

.PHONY: fuzz
fuzz: build/deps-verify ## each fuzzer for FUZZ_SECONDS (10; before an issue is closed 600), from tests/data/corpus
	cmake --preset fuzz >build/fuzz.log || { cat build/fuzz.log; exit 1; }
	cmake --build --preset fuzz -j $(JOBS) --target $$(python3 tests/fuzz/run.py --list)
	python3 tests/fuzz/run.py --build build/fuzz --seconds $(FUZZ_SECONDS) --jobs $(JOBS) --report build/verify-fuzzers.xml

.PHONY: fuzz-corpus
fuzz-corpus: build/deps-verify ## take what fuzzing has found into tests/data/corpus, within bounds; not while it runs
	python3 tests/fuzz/run.py --build build/fuzz --merge --jobs $(JOBS)

.PHONY: lint
lint: build/deps-lint ## formatting and clang-tidy
	git ls-files -z '*.cc' '*.h' | xargs -0 -r clang-format-19 --dry-run --Werror
	@# A build's flags and generated headers are all that clang-tidy needs.
	cmake --preset dev >build/dev.log || { cat build/dev.log; exit 1; }
	cmake --build --preset dev -j $(JOBS) --target pgw_exposition
	python3 tests/tidy.py --build build/dev --jobs $(JOBS)

.PHONY: format
format: build/deps-lint ## format all sources
	git ls-files -z '*.cc' '*.h' | xargs -0 -r clang-format-19 -i

.PHONY: install
install: build ## install the program and its licence below PREFIX (/usr/local)
	cmake --install build/release --prefix "$(DESTDIR)$(PREFIX)"

.PHONY: clean
clean: ## remove everything that was built or fetched
	rm -rf build pushgateway

# Packages, once for each list. As root they are simply installed; otherwise sudo is asked for first.
build/deps-%: Makefile
	@mkdir -p build
	@if ! command -v dpkg-query >/dev/null; then \
	  echo "not a Debian system; needed: $(PACKAGES_$*)"; touch $@; exit 0; fi; \
	missing=""; for package in $(PACKAGES_$*); do \
	  dpkg-query -W -f='$${db:Status-Abbrev}\n' $$package 2>/dev/null | grep -q '^ii' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  echo "missing Debian packages:$$missing"; \
	  root=""; \
	  if [ "$$(id -u)" != 0 ]; then \
	    if [ ! -t 0 ]; then echo "install them: sudo apt-get install$$missing"; exit 1; fi; \
	    read -r -p "Install them with sudo apt-get? [y/N] " answer; [ "$$answer" = y ] || exit 1; root=sudo; \
	  fi; \
	  $$root apt-get update -qq; \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >build/apt.log \
	    || { cat build/apt.log; exit 1; }; \
	fi; \
	touch $@
