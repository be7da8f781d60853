// The texts for people when the network, TLS or HTTP fails: a sentence each, in any app.

@testable import BlobClient
import AsyncHTTPClient
import BlobCore
import NIOCore
import NIOHTTP1
import NIOSSL
import Testing

@Suite("Errors of the network")
struct NetworkErrorTests {
    /// A type that nobody has foreseen, with a name and a path in its description.
    private struct Unforeseen: Error, CustomStringConvertible {
        var description: String { "Unforeseen(path: \"/build/ssl/tls_record.cc\")" }
    }

    static let errors: [any Error] = [
        Unforeseen(), ChannelError.connectTimeout(.seconds(1)), ChannelError.ioOnClosedChannel, ChannelError.eof,
        IOError(errnoCode: 104, reason: "read(descriptor:)"), IOError(errnoCode: 111, reason: "connect(descriptor:)"),
        IOError(errnoCode: 113, reason: "connect"), IOError(errnoCode: 9_999, reason: "connect"),
        HTTPParserError.invalidEOFState, HTTPParserError.invalidVersion, HTTPParserError.invalidConstant,
        HTTPParserError.headerOverflow, NIOSSLError.uncleanShutdown, NIOSSLError.handshakeFailed(.syscallError),
        NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])), BoringSSLError.sslError([]),
        HTTPClientError.readTimeout, HTTPClientError.connectTimeout, HTTPClientError.tlsHandshakeTimeout,
        HTTPClientError.remoteConnectionClosed, HTTPClientError.alreadyShutdown, HTTPClientError.uncleanShutdown,
        HTTPClientError.getConnectionFromPoolTimeout, HTTPClientError.bodyLengthMismatch,
        HTTPClientError.contentLengthMissing, HTTPClientError.requestStreamCancelled,
    ]

    @Test("name no type and no path of a build", arguments: errors)
    func sentences(_ error: any Error) {
        expectSentence(BlobClientError(network: error))
    }

    @Test("an answer that is not this API's JSON", arguments: ["<h1>Hello</h1>", "{}", #"{"items":5,"count":"many"}"#])
    func noJSON(_ body: String) async throws {
        try await withStub([.list: [.strange(200, body)]]) { stub, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.files() }
            if let error { expectSentence(error) }
        }
    }

    @Test("a folder is no file")
    func folder() async throws {
        let error = await #expect(throws: BlobClientError.self) { try await BlobServiceClient.digest(ofFile: "/") }
        if let error { expectSentence(error) }
    }

    private func expectSentence(_ error: BlobClientError, sourceLocation: SourceLocation = #_sourceLocation) {
        let strange = ["NIO", "BoringSSL", "HTTPParser", "Error", "DecodingError", ".cc", ".swift", "(", "Unforeseen"]
        // Nor the words of one app's command line.
        for part in strange + ["--", "BLOB_", "'blob"] {
            #expect(!"\(error)".contains(part), sourceLocation: sourceLocation)
        }
        #expect("\(error)".contains(" "), sourceLocation: sourceLocation)
    }
}
