// Downloads that the server sends elsewhere, such as to a bucket with signed addresses.

@testable import BlobClient
import BlobCore
import Foundation
import Testing

@Suite("Redirections", .serialized, .timeLimit(.minutes(10)))
struct RedirectionTests {
    private static let bytes = Sample.bytes(1_500_000)

    /// A server that sends its downloads on to another, with ranges and these faults.
    private func withBucket(
        _ faults: [Fault] = [], times: Int = 20, status: Int = 307,
        _ body: (_ server: ReferenceServer, _ bucket: ReferenceServer, BlobServiceClient, BlobDigest) async throws ->
            Void
    ) async throws {
        try await withStub([.download: faults], Manners(extras: [.ranges])) { bucket, _ in
            let digest = bucket.model.publish(Self.bytes)
            let location = "\(bucket.address)/api/blobs/\(digest)?X-Amz-Signature=a%2Fb%3D"
            let redirections = Array(repeating: Fault.redirect(status, to: location), count: times)
            try await withStub([.download: redirections]) { server, client in
                try await body(server, bucket, client, digest)
            }
        }
    }

    @Test(
        "are followed by each try, which goes on where it stopped, without the token",
        arguments: [301, 302, 303, 307, 308])
    func followed(_ status: Int) async throws {
        try await withBucket([.cut(after: 700_000)], status: status) { server, bucket, client, digest in
            let (folder, log) = (try Folder(), EventLog())
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == Self.bytes)
            #expect((1...700_000).contains(log.starts.last ?? 0))
            #expect(server.model.downloads.count == 2)
            #expect(server.model.downloads.allSatisfy { $0["authorization"] == "Bearer \(ReferenceModel.token)" })
            #expect(bucket.model.downloads.map { $0["range"] } == [nil, "bytes=\(log.starts.last ?? 0)-"])
            #expect(bucket.model.downloads.allSatisfy { $0["authorization"] == nil && $0["if-range"] == nil })
        }
    }

    @Test("an address that has expired costs a try, and the server is asked for the next")
    func expired() async throws {
        try await withBucket([.cut(after: 700_000), .answer(403), .nothing]) { server, bucket, client, digest in
            let (folder, log) = (try Folder(), EventLog())
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == Self.bytes)
            #expect(server.model.downloads.count == 3 && log.retries.count == 2)
        }
    }

    @Test("what the other one refuses for good is said of it, without the signature")
    func refused() async throws {
        try await withBucket(Array(repeating: .answer(403), count: 10)) { server, bucket, client, digest in
            let error = await #expect(throws: BlobClientError.self) { try await client.download(digest) { _ in } }
            #expect(
                error == .connection("\(bucket.address), where the server sends downloads, answered 403"))
            #expect(server.model.downloads.count == 5)
        }
    }

    @Test("the other one's bytes are compared with the digest")
    func wrongBytes() async throws {
        try await withStub([:], Manners(extras: [.ranges], damagesDownloads: true)) { bucket, _ in
            let digest = bucket.model.publish(Self.bytes)
            let location = "\(bucket.address)/api/blobs/\(digest)"
            try await withStub([.download: [.redirect(307, to: location)]]) { server, client in
                let folder = try Folder()
                let error = await #expect(throws: BlobClientError.self) {
                    try await client.download(digest, to: folder.path + "/target")
                }
                guard case .wrongDigest = error else { throw Failure("\(String(describing: error))") }
                #expect(folder.names.isEmpty)
            }
        }
    }

    @Test("at most three, and the server itself still gets the token", arguments: [3, 4])
    func limit(_ count: Int) async throws {
        let digest = BlobDigest(of: Self.bytes)
        let faults = Array(repeating: Fault.redirect(302, to: "/api/blobs/\(digest)"), count: count)
        try await withStub([.download: faults]) { server, client in
            _ = server.model.publish(Self.bytes)
            if count == 3 {
                try await client.download(digest) { _ in }
            } else {
                let error = await #expect(throws: BlobClientError.self) { try await client.download(digest) { _ in } }
                #expect(error == .unexpectedAnswer("it sends a download on more than 3 times"))
            }
            #expect(server.model.downloads.count == 4)
            #expect(server.model.downloads.allSatisfy { $0["authorization"] == "Bearer \(ReferenceModel.token)" })
        }
    }

    @Test("no address to go on to is an error", arguments: [nil, "ftp://host/x", "http://", "http://u:p@host/x"])
    func noTarget(_ location: String?) async throws {
        try await withStub([.download: [.redirect(307, to: location)]]) { server, client in
            let digest = server.model.publish([1])
            let error = await #expect(throws: BlobClientError.self) { try await client.download(digest) { _ in } }
            guard case .unexpectedAnswer = error else { throw Failure("\(String(describing: error))") }
            #expect(server.model.downloads.count == 1)
        }
    }

    @Test("never from https to http")
    func downgrade() throws {
        let address = try #require(URL(string: "https://server:8887/api/blobs/x"))
        #expect(throws: BlobClientError.self) { try Transport.target(of: "http://server:8887/y?secret", from: address) }
        let url = try Transport.target(of: "https://bucket/y?a=b%2Fc", from: address)
        #expect(url.absoluteString == "https://bucket/y?a=b%2Fc")
    }

    @Test(
        "an origin is scheme, host and port",
        arguments: [
            ("http://host/a", "http://HOST:80/b", true), ("https://host", "https://host:443", true),
            ("http://host", "https://host", false), ("http://host", "http://host:8887", false),
            ("http://host", "http://host.example", false),
        ])
    func origins(_ one: String, _ other: String, _ isSame: Bool) throws {
        #expect((try Origin(#require(URL(string: one))) == Origin(#require(URL(string: other)))) == isSame)
    }
}
