// Uploads to a server of the reference document alone, with nothing going wrong.

import BlobClient
import BlobCore
import Testing

@Suite("Uploads to a server of the reference document", .serialized, .timeLimit(.minutes(10)))
struct PlainUploadTests {
    @Test(
        "bytes of every length are published once", arguments: [0, 1, 2, 65_535, 65_536, 65_537, 300_000], Way.allCases)
    func lengths(_ count: Int, _ way: Way) async throws {
        try await withStub { stub, client in
            let bytes = Sample.bytes(count)
            let log = EventLog()
            let file = try await client.upload(bytes, as: way, log: log)
            expect(bytes, arePublishedBy: stub, as: file)
            #expect(file.id == "file-0" && file.name == "sample.bin")
            #expect(file.url == stub.address + "/api/blobs/\(BlobDigest(of: bytes))")
            #expect(stub.model.received == count, "no byte is sent twice")
            #expect(log.retries.isEmpty && log.start == 0)
            #expect(log.all.last == .moved(to: Int64(count)))
        }
    }

    @Test("a small file takes two requests", arguments: [0, 1, 65_536], Way.allCases)
    func twoRequests(_ count: Int, _ way: Way) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.smallAppendByteCount = 1 << 20
        try await withStub([:], Manners(), configuration) { stub, client in
            _ = try await client.upload(Sample.bytes(count), as: way)
            #expect(stub.model.seen == [.initiate, .complete])
        }
    }

    @Test("pieces of at most 4 MiB go with the completion, as they are held in memory", arguments: Way.allCases)
    func lastPiece(_ way: Way) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.smallAppendByteCount = 8 << 20
        try await withStub([:], Manners(), configuration) { stub, client in
            let bytes = Sample.bytes(5 << 20)
            let file = try await client.upload(bytes, as: way)
            expect(bytes, arePublishedBy: stub, as: file)
            #expect(stub.model.seen == [.initiate, .append, .complete])
        }
    }

    @Test("pieces are as large as configured", arguments: Way.allCases)
    func pieces(_ way: Way) async throws {
        try await withStub { stub, client in
            _ = try await client.upload(Sample.bytes(300_000), as: way)
            #expect(stub.model.seen == [.initiate] + Array(repeating: .append, count: 4) + [.complete])
        }
    }

    @Test("names of all kinds and the wish to be temporary arrive", arguments: ["a b+c&d=e%20#?.bin", "Grüße 😀.txt"])
    func names(_ name: String) async throws {
        try await withStub { stub, client in
            let bytes = Sample.bytes(10)
            let options = UploadOptions(name: name, isTemporary: true)
            let file = try await client.upload(bytes, as: .stream, options: options)
            expect(bytes, arePublishedBy: stub, as: file, name: name)
            #expect(stub.model.files.map(\.isTemporary) == [true])
        }
    }

    @Test("a file has its own name, where none is given")
    func ownName() async throws {
        try await withStub { stub, client in
            let folder = try Folder()
            let path = try folder.write([1, 2, 3], to: "own name.bin")
            let file = try await client.upload(file: path)
            expect([1, 2, 3], arePublishedBy: stub, as: file, name: "own name.bin")
        }
    }

    @Test("a stream's own error ends its upload")
    func streamError() async throws {
        try await withStub { stub, client in
            await #expect(throws: Failure.self) {
                try await client.upload { throw Failure("the stream broke") }
            }
            #expect(stub.model.files.isEmpty)
        }
    }

    @Test("uploads run side by side")
    func sideBySide() async throws {
        try await withStub { stub, client in
            try await withThrowingTaskGroup(of: StoredFile.self) { group in
                for seed in 1...40 {
                    group.addTask {
                        let bytes = Sample.bytes(5000 * seed, seed: UInt64(seed))
                        return try await client.upload(bytes, as: seed.isMultiple(of: 2) ? .file : .stream)
                    }
                }
                for try await file in group { #expect(stub.model.blob(file.digest ?? "") != nil) }
            }
            #expect(Set(stub.model.files.map(\.digest)).count == 40)
        }
    }

    @Test("what is no regular file, or not there, is an error at once", arguments: ["", "/nowhere", "/dev/null"])
    func noFile(_ path: String) async throws {
        try await withStub { stub, client in
            let path = path.isEmpty ? try Folder().path : path
            let error = await #expect(throws: BlobClientError.self) { try await client.upload(file: path) }
            guard case .file = error else { throw Failure("\(String(describing: error))") }
            #expect(stub.model.seen.isEmpty)
        }
    }

    @Test("status and destroy say what the server says")
    func statusAndDestroy() async throws {
        try await withStub([.complete: [.answer(403)]]) { stub, client in
            let began = Event()
            await #expect(throws: BlobClientError.self) {
                try await client.upload(
                    options: UploadOptions(), progress: { if case .began = $0 { began.happens() } }, next: { nil })
            }
            await began.wait()
            #expect(stub.model.openUploads == 0, "a stream that was refused for good is given up")
            await #expect(throws: BlobClientError.self) { try await client.status(of: UploadID()) }
            await #expect(throws: BlobClientError.self) { try await client.destroy(UploadID()) }
        }
    }
}
