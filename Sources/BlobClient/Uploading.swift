// Uploading, as an app asks for it.

public import BlobCore
import Foundation
public import NIOCore
import NIOPosix

extension BlobServer {
    /// Uploads a file.
    ///
    /// - Parameters:
    ///   - path: of a regular file, which must not be written to meanwhile.
    ///   - journal: where to remember how far it has come, so that the same call after a crash goes on. Files of up to
    ///     4 MiB are not worth remembering.
    ///   - progress: is told what happens, from any thread, one call at a time.
    /// - Returns: the file on the server, named by the digest of the bytes that were read.
    public func upload(
        file path: String, options: UploadOptions = UploadOptions(), journal: UploadJournal? = nil,
        progress: @escaping @Sendable (TransferEvent) -> Void = { _ in }
    ) async throws -> StoredFile {
        var options = options
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        options.name = options.name ?? URL(fileURLWithPath: absolute).lastPathComponent
        let (source, record, abandoned) = try await NIOThreadPool.singleton.runIfActive { [calls, options] in
            try Self.open(absolute, options, journal, server: calls.transport.url(""))
        }
        if let abandoned {
            progress(.startingOver(.fileChanged))
            // Otherwise the server lets go of it when its time has come.
            try? await calls.destroy(abandoned)
        }
        var run = UploadRun(
            calls: calls, source: source, options: options, configuration: configuration, record: record, tell: progress
        )
        defer { record?.letGo() }
        let file = try await run.run()
        record?.remove()
        return file
    }

    /// Uploads bytes as they come, of whatever number. What is not safe on the server yet is kept in memory, some
    /// 8 MiB; a later run cannot go on with a stream.
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

    /// - Returns: also the upload of the file as it was at another time, which is of no use any more.
    private static func open(
        _ path: String, _ options: UploadOptions, _ journal: UploadJournal?, server: String
    ) throws -> (FileSource, JournalRecord?, abandoned: UploadID?) {
        let source = try FileSource(path: path)
        guard source.identity.size > UploadRun.lastPieceByteCount,
            let record = journal?.record(server: server, path: path, options: options)
        else { return (source, nil, nil) }
        let contents = JournalRecord.Contents(server: server, path: path, options: options, file: source.identity)
        let abandoned = record.prepare(contents)
        let known = record.digest.flatMap { $0.count <= source.identity.size ? $0 : nil }
        source.resume(known) { record.note($0) }
        return (source, record, abandoned)
    }

    /// The digest of a file, by which a server would name it.
    public static func digest(ofFile path: String) async throws -> BlobDigest {
        try await FileSource(path: path).wholeDigest()
    }
}
