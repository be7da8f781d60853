// Uploading, as an app asks for it.

public import BlobCore
import Foundation
public import NIOCore
import NIOPosix
public import SystemPackage

extension BlobServiceClient {
    /// Uploads a file.
    ///
    /// - Parameters:
    ///   - path: of a regular file, which must not be written to meanwhile. Without a name in the options, the file
    ///     gets the one that ``RemoteName`` makes of its own.
    ///   - journal: where to remember how far it has come, so that the same call after a crash goes on. Files of up to
    ///     4 MiB are not worth remembering.
    ///   - progress: is told what happens, from any thread, one call at a time.
    /// - Returns: the file on the server, named by the digest of the bytes that were read.
    public func upload(
        file path: FilePath, options: UploadOptions = UploadOptions(), journal: UploadJournal? = nil,
        progress: @escaping @Sendable (TransferEvent) -> Void = { _ in }
    ) async throws -> StoredFile {
        var options = options
        let absolute = path.absolute
        options.name = options.name ?? absolute.lastComponent.map { RemoteName($0).text }
        let (source, record) = try await NIOThreadPool.singleton.runIfActive { [options, address] in
            try Self.open(absolute, options, journal, server: address, progress)
        }
        defer { record?.letGo() }
        if let record, try await !Self.resume(record, source) {
            let contents = JournalRecord.Contents(
                server: address, path: absolute, options: options, file: source.identity)
            if let abandoned = record.replace(contents) {
                progress(.startingOver(.fileChanged))
                // Otherwise the server removes it when its time has come.
                try? await calls.destroy(abandoned)
            }
        }
        var run = UploadRun(
            calls: calls, source: source, options: options, configuration: configuration, record: record, tell: progress
        )
        let file = try await run.run()
        record?.remove()
        return file
    }

    /// Uploads bytes as they come, of whatever number. Bytes that are not safe on the server yet are kept in memory,
    /// some 8 MiB; a later run cannot go on with a stream.
    ///
    /// - Parameter next: the next bytes; `nil` after the last.
    public func upload(
        options: UploadOptions = UploadOptions(), progress: @escaping @Sendable (TransferEvent) -> Void = { _ in },
        next: @escaping @Sendable () async throws -> ByteBuffer?
    ) async throws -> StoredFile {
        var run = UploadRun(
            calls: calls, source: StreamSource(next: next), options: options, configuration: configuration,
            tell: progress)
        return try await run.run()
    }

    private static func open(
        _ path: FilePath, _ options: UploadOptions, _ journal: UploadJournal?, server: String,
        _ tell: @escaping @Sendable (TransferEvent) -> Void
    ) throws -> (FileSource, JournalRecord?) {
        let source = try FileSource(path: path) { tell(.reading(to: $0, of: $1)) }
        guard source.identity.size > UploadRun.lastPieceByteCount else { return (source, nil) }
        return (source, journal?.record(server: server, path: path, options: options))
    }

    /// Has the source go on with what an earlier run noted, if the file is still the one that was noted.
    ///
    /// The bytes up to the noted digest are read again, since the digest of the whole needs them, and compared with it:
    /// any writer can set a file's time back. Those after it, which the server may have too, are compared by the server
    /// when it completes the upload.
    ///
    /// - Returns: whether there is something to go on with.
    private static func resume(_ record: JournalRecord, _ source: FileSource) async throws -> Bool {
        defer { source.noteDigest { record.note($0) } }
        switch record.file?.likeness(to: source.identity) {
        case .same, .perhaps: break
        case .different, nil: return false
        }
        if let beginning = record.beginning, try await !source.begins(with: beginning) { return false }
        record.keep(source.identity)
        return true
    }

    /// The digest of a file, by which a server would name it.
    ///
    /// - Throws: ``BlobClientError/fileChanged(path:)`` when it was written to meanwhile.
    public static func digest(ofFile path: FilePath) async throws -> BlobDigest {
        try await FileSource(path: path).wholeDigest()
    }
}
