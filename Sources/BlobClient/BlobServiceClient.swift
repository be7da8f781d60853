// The client of one server: where everything begins.

import AsyncHTTPClient
public import BlobCore
import Foundation
import NIOCore

/// A client of one blob server.
///
/// Whatever breaks on the way is tried again as ``Configuration/retries`` says, and uploads and downloads go on
/// where they stopped. All calls may be made at once, throw ``BlobClientError`` or `CancellationError`, and end soon
/// after their task is cancelled.
///
/// Works with every server that speaks the Blobs section of the PortSIP PBX REST API. What a blobd server offers beyond
/// it is used where it is there.
public final class BlobServiceClient: Sendable {
    let calls: Calls
    let configuration: Configuration

    /// - Parameters:
    ///   - address: such as `https://files.example.com:8887`, with a path before `/api` if the server is behind one.
    ///   - token: the bearer token; downloads work without one on most servers.
    /// - Throws: ``BlobClientError/invalidAddress(_:)``, ``BlobClientError/certificates(_:)``.
    public init(
        _ address: String, token: String? = nil, configuration: Configuration = Configuration()
    ) throws(BlobClientError) {
        self.configuration = configuration
        calls = Calls(transport: try Transport(address: address, token: token, configuration: configuration))
    }

    deinit {
        calls.transport.abandon()
    }

    /// Closes all connections. Nothing can be asked after it.
    public func shutdown() async {
        await calls.transport.shutdown()
    }

    /// The address without a slash at its end, as the journal has it.
    public var address: String { calls.transport.url("") }

    /// Where a blob is downloaded.
    public func url(of digest: BlobDigest) -> String { calls.transport.url("/api/blobs/\(digest)") }

    // MARK: Uploads

    /// How far an upload has come.
    public func status(of id: UploadID) async throws -> UploadStatus {
        try await retrying { try await self.calls.status(of: id) }
    }

    /// Gives an upload up, and the bytes that it holds.
    public func destroy(_ id: UploadID) async throws {
        try await retrying { try await self.calls.destroy(id) }
    }

    // MARK: Files

    /// A page of the caller's files; of everybody's with the scope `admin`.
    public func files(_ query: FileQuery = FileQuery()) async throws -> FilePage {
        try await retrying { try await self.calls.files(query) }
    }

    /// Page after page of the caller's files, from the query's first to the last.
    ///
    /// Where the server has cursors, every file that is there throughout is listed exactly once, whatever comes and
    /// goes meanwhile. Others are asked to skip those that were listed: a file may be missed, or come twice.
    public func filePages(_ query: FileQuery = FileQuery()) -> FilePages {
        FilePages(client: self, query: query)
    }

    public func file(_ id: String) async throws -> StoredFile {
        try await retrying { try await self.calls.file(id) }
    }

    /// Deletes a file. Its bytes go when no other file has them.
    public func deleteFile(_ id: String) async throws {
        try await retrying { try await self.calls.destroyFile(id) }
    }

    /// What a download would bring; `nil` when the server does not have the blob.
    public func blob(_ digest: BlobDigest) async throws -> BlobInfo? {
        try await retrying { try await self.calls.blob(digest) }
    }

    /// Makes a call that may be repeated without harm until it succeeds or fails for good.
    private func retrying<Value: Sendable>(_ call: () async throws -> Value) async throws -> Value {
        var attempts = Attempts(configuration.retries)
        while true {
            do {
                return try await call()
            } catch {
                try await attempts.pause(after: error) { _ in }
            }
        }
    }
}
