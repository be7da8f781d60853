// How long and how often the library tries, that it can be cancelled, and its errors for answers that no blob server
// gives.

import BlobClient
import BlobCore
import NIOCore
import Testing

@Suite("Pauses, tries and strange answers", .serialized, .timeLimit(.minutes(10)))
struct RetryTests {
    @Test("pauses double from the first to the longest, shortened by up to a half")
    func backOff() async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.retries.triesWithoutProgress = 8
        configuration.retries.firstPause = .milliseconds(2)
        configuration.retries.longestPause = .milliseconds(10)
        let faults = Array(repeating: Fault.answer(503), count: 100)
        var all: [Duration] = []
        for _ in 0..<3 {
            try await withStub([.initiate: faults], Manners(), configuration) { _, client in
                let log = EventLog()
                await #expect(throws: BlobClientError.self) { try await client.upload([], as: .stream, log: log) }
                let pauses = log.retries.map(\.pause)
                #expect(pauses.count == 7)
                for (pause, most) in zip(pauses, [2, 4, 8, 10, 10, 10, 10].map { Duration.milliseconds($0) }) {
                    #expect(pause <= most && pause >= most / 2)
                }
                all += pauses
            }
        }
        #expect(Set(all).count > 15, "they differ from client to client")
    }

    @Test("Retry-After is waited for", arguments: [429, 503])
    func retryAfter(_ status: Int) async throws {
        try await withStub([.append: [.answer(status, retryAfter: "1")]]) { stub, client in
            let bytes = Sample.bytes(100_000)
            let log = EventLog()
            let clock = ContinuousClock()
            let start = clock.now
            let file = try await client.upload(bytes, as: .file, log: log)
            #expect(clock.now - start >= .seconds(1))
            expect(bytes, arePublishedBy: stub, as: file)
            #expect(log.retries.map(\.pause) == [.seconds(1)])
        }
    }

    @Test(
        "but never longer than configured",
        arguments: ["2", "86400", "99999999", "99999999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT"])
    func retryAfterTooLong(_ value: String) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.retries.longestRequestedPause = .milliseconds(5)
        try await withStub([.append: [.answer(503, retryAfter: value)]], Manners(), configuration) { stub, client in
            let bytes = Sample.bytes(100_000)
            let log = EventLog()
            expect(bytes, arePublishedBy: stub, as: try await client.upload(bytes, as: .file, log: log))
            #expect(log.retries.map(\.pause) == [.milliseconds(5)])
        }
    }

    @Test("and not at all when it makes no sense", arguments: ["-1", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT"])
    func retryAfterNonsense(_ value: String) async throws {
        try await withStub([.append: [.answer(503, retryAfter: value)]]) { stub, client in
            let bytes = Sample.bytes(100_000)
            let log = EventLog()
            expect(bytes, arePublishedBy: stub, as: try await client.upload(bytes, as: .file, log: log))
            #expect(log.retries.count == 1 && log.retries.allSatisfy { $0.pause <= .milliseconds(2) })
        }
    }

    @Test("a connection that goes silent is given up", arguments: [Operation.initiate, .append, .status, .complete])
    func silence(_ operation: Operation) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.silenceLimit = .seconds(1)
        var faults: [Operation: [Fault]] = [operation: [.silence]]
        if operation == .status { faults[.append] = [.closeBeforeActing] }
        try await withStub(faults, Manners(), configuration) { stub, client in
            let bytes = Sample.bytes(200_000)
            expect(bytes, arePublishedBy: stub, as: try await client.upload(bytes, as: .file))
            #expect(stub.model.faultsLeft == 0)
        }
    }

    // MARK: Cancelling

    @Test("a cancelled upload ends while the server is silent", arguments: Way.allCases, [Operation.append, .complete])
    func cancelled(_ way: Way, _ operation: Operation) async throws {
        try await withStub([operation: [.silence]]) { stub, client in
            let bytes = Sample.bytes(operation == .append ? 200_000 : 1000)
            let task = Task { try await client.upload(bytes, as: way) }
            await stub.model.silent.wait()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(stub.model.files.isEmpty)
        }
    }

    @Test("a cancelled upload ends within a pause")
    func cancelledPause() async throws {
        try await withStub([.append: [.answer(503, retryAfter: "250")]]) { stub, client in
            let pausing = Event()
            let task = Task {
                try await client.upload(
                    progress: { if case .retrying = $0 { pausing.happens() } }, next: { ByteBuffer(bytes: [1]) })
            }
            await pausing.wait()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(stub.model.seen == [.initiate, .append])
        }
    }

    @Test("a cancelled upload ends while its stream brings nothing")
    func cancelledStream() async throws {
        try await withStub { stub, client in
            let reading = Event()
            let task = Task {
                try await client.upload {
                    reading.happens()
                    try await Task.sleep(for: .seconds(3600))
                    return nil
                }
            }
            await reading.wait()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(stub.model.seen == [.initiate])
        }
    }

    @Test("a task that is cancelled before it begins asks for nothing")
    func cancelledBefore() async throws {
        try await withStub { stub, client in
            let go = Event()
            let task = Task {
                await go.wait()
                return try await client.upload([1, 2, 3], as: .file)
            }
            task.cancel()
            go.happens()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(stub.model.files.isEmpty)
        }
    }

    // MARK: Servers of something else

    @Test(
        "a web page in place of an answer", arguments: [Operation.initiate, .append, .status, .complete], [200, 204])
    func webPage(_ operation: Operation, _ status: Int) async throws {
        var faults: [Operation: [Fault]] = [operation: [.strange(status, status == 204 ? "" : "<h1>Welcome</h1>")]]
        if operation == .status { faults[.append] = [.closeBeforeActing] }
        try await withStub(faults) { stub, client in
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(Sample.bytes(100_000), as: .file)
            }
            guard case .unexpectedAnswer = error else { throw Failure("\(String(describing: error))") }
            // Nobody can go on with the upload that was begun.
            #expect(stub.model.seen.last { $0 != .destroy } == operation && stub.model.files.isEmpty)
        }
    }

    @Test("a redirection is not followed", arguments: [301, 302, 307])
    func redirection(_ status: Int) async throws {
        try await withStub([.initiate: [.answer(status)]]) { stub, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.upload([], as: .file) }
            #expect(error == .refused(ServerRefusal(status: status, code: "", message: "")))
            #expect(stub.model.seen == [.initiate])
        }
    }

    @Test("a server that knows no blobs is named as such")
    func notFound() async throws {
        try await withStub([.initiate: [.strange(404, "<h1>Not found</h1>")]]) { stub, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.upload([], as: .file) }
            #expect(error == .refused(ServerRefusal(status: 404, code: "", message: "")))
            #expect(stub.model.seen == [.initiate])
        }
    }

    @Test("without a token it is told which one is missing")
    func noToken() async throws {
        try await withStub([:], Manners(errors: .json), token: nil) { stub, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.upload([], as: .file) }
            #expect(error == .refused(ServerRefusal(status: 401, code: "UNAUTHORIZED", message: "No.")))
            #expect(stub.model.seen == [.initiate])
        }
    }

    @Test("a host that is not there", arguments: ["http://no-such-host.invalid:1", "http://127.0.0.1:1"])
    func unreachable(_ address: String) async throws {
        let client = try BlobServiceClient(address, token: nil, configuration: .quick)
        let log = EventLog()
        let error = await #expect(throws: BlobClientError.self) { try await client.upload([], as: .file, log: log) }
        guard case .connection(let words) = error else { throw Failure("\(String(describing: error))") }
        #expect(
            words
                == (address.contains("invalid")
                    ? "there is no host 'no-such-host.invalid'" : "cannot connect to the server: Connection refused"))
        #expect(log.retries.count == 4)
        await client.shutdown()
    }

    @Test("a client that was forgotten closes its connections by itself")
    func forgotten() async throws {
        try await withStub { stub, _ in
            var client: BlobServiceClient? = try BlobServiceClient(stub.address, token: ReferenceModel.token)
            _ = try await client?.upload([1], as: .stream)
            #expect(stub.model.openConnections > 0)
            client = nil
            await stub.model.noConnection.wait()
        }
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", "localhost", "localhost:8887", "ftp://localhost", "http://", "http://u:p@localhost", "http://h/?a=b",
        ])
    func addresses(_ address: String) {
        #expect(throws: BlobClientError.invalidAddress(address)) { try BlobServiceClient(address) }
    }
}
