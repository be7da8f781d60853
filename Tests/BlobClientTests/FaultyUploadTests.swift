// Every operation of an upload with everything that can go wrong with it: the bytes are published all the same, once,
// or the right error says why not.

import BlobClient
import BlobCore
import Testing

@Suite("Uploads with faults", .serialized, .timeLimit(.minutes(10)))
struct FaultyUploadTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var operation: Operation
        var fault: Fault
        var count: Int
        var keepsBroken = true
        var way = Way.file
        var errors = Manners.Errors.bare

        var testDescription: String {
            "\(operation): \(fault), \(count) bytes, \(way), \(keepsBroken ? "keeps" : "drops"), \(errors)"
        }
    }

    private static let passingFaults: [Fault] = [
        .closeBeforeActing, .closeAfterActing, .answerAfterActing(500), .answerAfterActing(503), .answerAtHead(503),
        .answer(408), .answer(429), .answer(500), .answer(502), .answer(503), .answer(504), .answer(507),
        .answer(429, retryAfter: "0"), .cut(after: 0), .cut(after: 1), .cut(after: 30_000), .cut(after: 65_535),
    ]

    static let cases: [Case] = [Operation.initiate, .append, .status, .complete].flatMap { operation in
        passingFaults.flatMap { fault in
            [1, 2, 1000, 300_000].flatMap { count in
                [true, false].flatMap { keeps in
                    Way.allCases.map { way in
                        Case(operation: operation, fault: fault, count: count, keepsBroken: keeps, way: way)
                    }
                }
            }
        }
    }.filter { $0.operation != .append || $0.count > 65_536 }

    /// Status is asked for only when something else went wrong.
    private static func faults(_ operation: Operation, _ faults: [Fault], _ count: Int) -> [Operation: [Fault]] {
        guard operation == .status else { return [operation: faults] }
        return [.status: faults, count > 65_536 ? .append : .complete: [.closeBeforeActing]]
    }

    @Test("one fault", arguments: cases)
    func one(_ test: Case) async throws {
        let manners = Manners(keepsBroken: test.keepsBroken)
        let faults = Self.faults(test.operation, [test.fault], test.count)
        try await withStub(faults, manners) { stub, client in
            let bytes = Sample.bytes(test.count)
            let log = EventLog()
            let file = try await client.upload(bytes, as: test.way, log: log)
            expect(bytes, arePublishedBy: stub, as: file)
            #expect(stub.model.faultsLeft == 0, "the fault has happened")
            #expect(!log.retries.isEmpty, "it was told")
            let faultCount = test.operation == .status ? 2 : 1
            #expect(stub.model.received <= test.count + faultCount * 65_536, "at most a piece is sent twice")
        }
    }

    @Test(
        "four times in a row, of five tries", arguments: [Operation.initiate, .append, .status, .complete], Way.allCases
    )
    func four(_ operation: Operation, _ way: Way) async throws {
        for fault in [Fault.answer(503), .closeBeforeActing, .answerAtHead(500)] {
            // With the one before it, status has four.
            let times = operation == .status ? 3 : 4
            let faults = Self.faults(operation, Array(repeating: fault, count: times), 300_000)
            try await withStub(faults) { stub, client in
                let bytes = Sample.bytes(300_000)
                let file = try await client.upload(bytes, as: way)
                expect(bytes, arePublishedBy: stub, as: file)
                #expect(stub.model.faultsLeft == 0)
            }
        }
    }

    @Test("a small file, refused four times of five tries", arguments: Way.allCases, [0, 1, 1000])
    func fourOfSmall(_ way: Way, _ count: Int) async throws {
        for fault in [Fault.answer(503), .closeBeforeActing, .answerAtHead(500)] {
            try await withStub([.complete: Array(repeating: fault, count: 4)]) { stub, client in
                let bytes = Sample.bytes(count)
                let file = try await client.upload(bytes, as: way)
                expect(bytes, arePublishedBy: stub, as: file)
            }
        }
    }

    @Test("five tries and no more", arguments: [Operation.initiate, .append, .status, .complete], Way.allCases)
    func bounded(_ operation: Operation, _ way: Way) async throws {
        let faults = Self.faults(operation, Array(repeating: .answer(503), count: 100), 300_000)
        try await withStub(faults) { stub, client in
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(Sample.bytes(300_000), as: way)
            }
            guard case .refused(let refusal) = error, refusal.status == 503 else {
                throw Failure("\(String(describing: error))")
            }
            let times = operation == .status ? 4 : 5
            #expect(stub.model.seen.count { $0 == operation } == times)
            #expect(stub.model.files.isEmpty)
        }
    }

    @Test("progress between failures makes them the first again")
    func progress() async throws {
        // Each append breaks once after it has brought something.
        try await withStub([.append: Array(repeating: .cut(after: 20_000), count: 11)]) { stub, client in
            let bytes = Sample.bytes(300_000)
            let file = try await client.upload(bytes, as: .file)
            expect(bytes, arePublishedBy: stub, as: file)
            #expect(stub.model.faultsLeft == 0)
            #expect(stub.model.received == 300_000, "what a broken append brought is not sent again")
        }
    }

    @Test(
        "what will not pass is an error at once", arguments: [Operation.initiate, .append, .complete],
        [400, 401, 403, 405, 411, 413, 415, 431, 501])
    func permanent(_ operation: Operation, _ status: Int) async throws {
        // A body-less 400 after the completion may mean that the digest is another: see `wrongBytes`.
        for errors in Manners.Errors.allCases where errors == .json || (operation, status) != (.complete, 400) {
            try await withStub([operation: [.answer(status)]], Manners(errors: errors)) { stub, client in
                let log = EventLog()
                let error = await #expect(throws: BlobClientError.self) {
                    try await client.upload(Sample.bytes(300_000), as: .file, log: log)
                }
                let code = errors == .json ? "SOME_CODE" : ""
                let message = errors == .json ? "No." : ""
                #expect(error == .refused(ServerRefusal(status: status, code: code, message: message)))
                #expect(log.retries.isEmpty && stub.model.seen.last { $0 != .destroy } == operation)
                #expect(stub.model.files.isEmpty)
            }
        }
    }

    @Test("a refusal at the head of a body that is still being sent is understood", arguments: [401, 403, 413])
    func early(_ status: Int) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.smallAppendByteCount = 64 << 20
        try await withStub([.append: [.answerAtHead(status)]], Manners(), configuration) { stub, client in
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(Sample.bytes(20 << 20), as: .file)
            }
            #expect(error == .refused(ServerRefusal(status: status, code: "", message: "")))
        }
    }

    @Test("an upload that the server has forgotten begins anew", arguments: [Operation.append, .complete])
    func forgotten(_ operation: Operation) async throws {
        for errors in Manners.Errors.allCases {
            try await withStub([operation: [.forget]], Manners(errors: errors)) { stub, client in
                let bytes = Sample.bytes(300_000)
                let log = EventLog()
                let file = try await client.upload(bytes, as: .file, log: log)
                expect(bytes, arePublishedBy: stub, as: file)
                #expect(log.timesStartedOver == [.uploadLost])
            }
        }
    }

    @Test("a stream cannot begin anew when its first bytes are gone", arguments: [Operation.append, .complete])
    func forgottenStream(_ operation: Operation) async throws {
        let faults: [Operation: [Fault]] = [operation: (operation == .append ? [.answer(503)] : []) + [.forget]]
        try await withStub(faults) { stub, client in
            if operation == .append {
                // Nothing is lost yet.
                let bytes = Sample.bytes(300_000)
                expect(bytes, arePublishedBy: stub, as: try await client.upload(bytes, as: .stream))
            } else {
                await #expect(throws: BlobClientError.streamLost) {
                    try await client.upload(Sample.bytes(300_000), as: .stream)
                }
            }
        }
    }

    @Test("bytes that were changed on the way are sent anew, and given up", arguments: Manners.Errors.allCases)
    func wrongBytes(_ errors: Manners.Errors) async throws {
        try await withStub([:], Manners(errors: errors, damagesUploads: 2)) { stub, client in
            let bytes = Sample.bytes(300_000)
            let log = EventLog()
            let file = try await client.upload(bytes, as: .file, log: log)
            expect(bytes, arePublishedBy: stub, as: file)
            #expect(log.timesStartedOver.first == .wrongDigest)
            #expect(stub.model.openUploads == 0, "nothing is left behind")
        }
    }

    @Test("bytes that are changed each time are an error", arguments: Manners.Errors.allCases)
    func alwaysWrongBytes(_ errors: Manners.Errors) async throws {
        try await withStub([:], Manners(errors: errors, damagesUploads: .max)) { stub, client in
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(Sample.bytes(1000), as: .file)
            }
            guard case .refused(let refusal) = error else { throw Failure("\(String(describing: error))") }
            #expect(refusal.status == 400)
            #expect(stub.model.files.isEmpty && stub.model.openUploads == 0)
            #expect(stub.model.received == 3000)
        }
    }

    struct Lie: Sendable, CustomTestStringConvertible {
        var manners: Manners
        var testDescription: String
    }

    @Test(
        "a server whose offsets make no sense comes to an end",
        arguments: [
            Lie(manners: Manners(offsetLie: -1000), testDescription: "too little"),
            Lie(manners: Manners(extras: [.offsets], offsetLie: -1000), testDescription: "too little, exactly"),
            Lie(manners: Manners(offsetLie: -(1 << 40)), testDescription: "nothing"),
            Lie(manners: Manners(extras: [.offsets], offsetLie: -(1 << 40)), testDescription: "nothing, exactly"),
            Lie(manners: Manners(offsetLie: 1000), testDescription: "too much"),
            Lie(manners: Manners(extras: [.offsets], offsetLie: 1000), testDescription: "too much, exactly"),
            Lie(manners: Manners(extras: [.offsets], offsetLie: .max - (1 << 40)), testDescription: "far too much"),
            Lie(manners: Manners(losesBytes: true), testDescription: "loses them"),
            Lie(manners: Manners(extras: [.offsets], losesBytes: true), testDescription: "loses them, exactly"),
        ], Way.allCases)
    func lies(_ lie: Lie, _ way: Way) async throws {
        try await withStub([:], lie.manners) { stub, client in
            await #expect(throws: BlobClientError.self) {
                try await client.upload(Sample.bytes(300_000), as: way)
            }
            #expect(stub.model.files.isEmpty)
            #expect(stub.model.seen.count < 200)
        }
    }
}
