# What can be done here; `make help` lists it. ARGS goes to the program: make run ARGS='--listen 127.0.0.1:9000'

SWIFT ?= swift
ARGS ?=
SWIFT_FILES = Sources Tests Package.swift
# They keep both cores busy for minutes: beside them, others would miss their deadlines.
LONG_TESTS = LocalBackendTests.RaceTests|ModelSequenceTests|FaultyNetworkTests|KilledTests
# They need a real S3 service and a real PostgreSQL.
ENGINE_TESTS = S3ClientTests|PostgresPoolTests|CloudBackendTests|EndToEndTests.(Migrate|Node)Tests
# It builds a package of its own, with all that BlobClient needs: five minutes of both cores.
LIBRARY_TESTS = EndToEndTests.LibraryTests
# What clients see of a server is the same on every storage.
STORAGE_TESTS = EndToEndTests.(Append|Complete|CutConnection|Download|File|FileName|Guard|Initiate|OrderOfChecks|Range|RunningAppend|UploadUnknown)Tests

.PHONY: help run build release test durability cluster lint format bench nightly clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-11s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: release ## build in release mode and serve; the data go to ./data
	exec .build/release/blobd serve $(ARGS)

build: ## build everything in debug mode, tests too
	@Scripts/install-packages build
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error

release: ## build both executables, and the man page and completions of blob in .build/share
	@Scripts/install-packages build
	$(SWIFT) build -c release --product blobd --static-swift-stdlib
	$(SWIFT) build -c release --product blob --static-swift-stdlib
	Scripts/make-manual .build/release/blob .build/share

test: build ## run all tests, generated requests against the API's description, then durability and cluster
	@Scripts/install-packages test
	$(SWIFT) test --skip-build --disable-xctest --skip '$(LONG_TESTS)|$(ENGINE_TESTS)|$(LIBRARY_TESTS)'
	$(SWIFT) test --skip-build --disable-xctest --filter '$(LONG_TESTS)'
	Tests/engines/run $(SWIFT) test --skip-build --disable-xctest --filter '$(ENGINE_TESTS)'
	E2E_STORAGE=cloud Tests/engines/run $(SWIFT) test --skip-build --disable-xctest --filter '$(STORAGE_TESTS)'
	Tests/schemathesis/run
	$(MAKE) durability
	$(MAKE) cluster

durability: release ## take the power away, kill it, let its disk fail: nothing may be lost
	Tests/durability/run $(ARGS)

cluster: release ## break nodes, their S3 store and their database: nothing may be lost
	@Scripts/install-packages test
	Tests/cluster/run $(ARGS)

lint: ## check format, lengths and what is forbidden
	$(SWIFT) format lint --strict --parallel --recursive $(SWIFT_FILES)
	Scripts/check-lengths
	Scripts/check-forbidden

format: ## format the Swift files in place
	$(SWIFT) format --in-place --parallel --recursive $(SWIFT_FILES)

bench: release ## measure beside nginx and docker-registry
	Benchmarks/install-peers
	Benchmarks/run $(ARGS)

nightly: test bench ## everything that takes long
	Tests/real-files/run
	Tests/real-files/awkward
	Tests/engines/run Tests/real-files/migrate
	$(SWIFT) test --skip-build --disable-xctest --filter '$(LIBRARY_TESTS)'
	CLIENT_RUNS=5000 CLIENT_SEED=$$(date +%s) $(SWIFT) test --skip-build --disable-xctest --filter FaultyNetworkTests
	Tests/thread-sanitizer/run
	Tests/durability/run --states 101000 --kills 1000 --io-runs 5000 --backup-states 1000
	Tests/cluster/run --failovers 200 --s3-rounds 15 --postgres-rounds 20 --osd-kills 10 --reclaim-seconds 300 \
		--pooler-uploads 1000

clean: ## remove what was built; ./data stays
	rm -rf .build .build-library Benchmarks/build
