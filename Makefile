# The project's tasks; `make help` lists them. ARGS goes to the program: make run ARGS='--listen 127.0.0.1:9000'

SWIFT ?= swift
ARGS ?=
SWIFT_FILES = Sources Tests Package.swift
# Of swift build, for the debug build.
BUILD_FLAGS ?=
# The executable that durability and cluster break; make test gives them the debug build.
BLOBD ?= .build/release/blobd

.PHONY: help run build release test durability cluster lint format bench nightly clean .build/release/blobd .build/debug/blobd

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-11s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: release ## build in release mode and serve; the data go to ./data
	exec .build/release/blobd serve $(ARGS)

build: ## build everything in debug mode, tests too
	@Scripts/install-packages build
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error $(BUILD_FLAGS)

release: ## build both executables, and the man page and completions of blob in .build/share
	@Scripts/install-packages build
	$(SWIFT) build -c release --product blobd --static-swift-stdlib
	$(SWIFT) build -c release --product blob --static-swift-stdlib
	Scripts/make-manual .build/release/blob .build/share

test: build ## run all tests on the debug build, then tell what each stage took
	@Scripts/install-packages test
	Tests/run

durability: $(BLOBD) ## take the power away, kill it, let its disk fail: nothing may be lost
	Tests/durability/run --blobd $(BLOBD) $(ARGS)

cluster: $(BLOBD) ## break nodes, their S3 store and their database: nothing may be lost
	@Scripts/install-packages test
	Tests/cluster/run --blobd $(BLOBD) $(ARGS)

.build/release/blobd: release

.build/debug/blobd: build

lint: ## check format, lengths and what is forbidden
	$(SWIFT) format lint --strict --parallel --recursive $(SWIFT_FILES)
	Scripts/check-lengths
	Scripts/check-forbidden

format: ## format the Swift files in place
	$(SWIFT) format --in-place --parallel --recursive $(SWIFT_FILES)

bench: release ## measure beside nginx and docker-registry
	Benchmarks/install-peers
	Benchmarks/run $(ARGS)

nightly: test bench ## everything that takes long, on the release build where that may differ
	Tests/real-files/run
	Tests/real-files/awkward
	Tests/engines/run Tests/real-files/migrate
	$(SWIFT) test --skip-build --disable-xctest --filter EndToEndTests.LibraryTests
	CLIENT_RUNS=5000 CLIENT_SEED=$$(date +%s) $(SWIFT) test --skip-build --disable-xctest \
		--filter 'FaultyNetworkTests|ModelSequenceTests|LocalBackendTests.RaceTests'
	Tests/thread-sanitizer/run
	Tests/hostile/run
	Tests/hostile/run --only slow-by-default
	Tests/fuzz/run
	Tests/durability/run --states 101000 --kills 1000 --io-runs 5000 --backup-states 1000
	Tests/cluster/run --failovers 200 --s3-rounds 15 --postgres-rounds 20 --osd-kills 10 --reclaim-seconds 300 \
		--pooler-uploads 1000

clean: ## remove what was built; ./data stays
	rm -rf .build .build-library .build-fuzz Benchmarks/build
