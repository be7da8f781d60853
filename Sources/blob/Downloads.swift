// The downloads of one command from one server, several at a time.

import BlobClient
import BlobCore
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage

/// Where downloads go.
enum DownloadTarget: Equatable, Sendable {
    case standardOutput
    case file(FilePath)
    /// Under the names that the files have on the server; empty for the current folder.
    case folder(FilePath)

    /// - Parameters:
    ///   - output: as it was given: a file, a folder, `-`, or nothing.
    ///   - isForSeveral: whether there may be more than one blob.
    /// - Throws: ``UsageProblem`` when several blobs cannot go there.
    init(_ output: String?, isForSeveral: Bool) throws(UsageProblem) {
        guard let output else {
            self = .folder("")
            return
        }
        let path = try PathArgument.path(output)
        let kind = try? path.stat().type
        switch output {
        case "-" where isForSeveral: throw UsageProblem("--output: standard output takes a single blob")
        case "-": self = .standardOutput
        case _ where kind == .directory || kind == nil && output.hasSuffix("/"): self = .folder(path)
        case _ where isForSeveral || output.hasSuffix("/"):
            throw UsageProblem(
                "--output: '\(output)' is no folder"
                    + (kind != nil ? "" : "; with a '/' at its end it is made, and takes several blobs"))
        default: self = .file(path)
        }
    }

    /// Makes the folder, if it is to be one that is not there yet.
    func prepare() throws {
        guard case .folder(let path) = self, !path.isEmpty else { return }
        do {
            try path.makeFolders()
        } catch {
            throw Problem("--output: the folder \(DisplayText.safe(path.string)) cannot be made: \(error)")
        }
    }
}

struct Downloads: Sendable {
    /// One blob, and the file that it was found by, as far as that is known.
    struct Item: Sendable {
        /// Its name on the command line, or its own name.
        var label: String
        var digest: BlobDigest
        /// `nil` where the server is to propose one.
        var name: String?
        /// Where it lies, in a folder that comes back.
        var place: TreePlace?
    }

    let client: BlobServiceClient
    let target: DownloadTarget
    let replaces: Bool
    /// Whether names may begin with `.` and `-`.
    let trustsNames: Bool
    /// The range that goes to standard output, where that is not all.
    let range: ByteRange?
    let reporter: TransferReporter
    private let claims = Claims()

    init(
        from client: BlobServiceClient, to target: DownloadTarget, replaces: Bool, trustsNames: Bool,
        range: ByteRange? = nil, reporter: TransferReporter
    ) {
        (self.client, self.target, self.replaces) = (client, target, replaces)
        (self.trustsNames, self.range, self.reporter) = (trustsNames, range, reporter)
    }

    // MARK: The meaning of arguments

    /// - Throws: what keeps the word from naming a blob.
    func item(_ reference: BlobReference, _ label: String, takesNewest: Bool) async throws -> Item {
        switch reference {
        case .digest(let digest), .url(_, let digest): return Item(label: label, digest: digest)
        case .file(let id): return try item(await client.file("\(id)"))
        case .name(let name):
            return try item(await FileSearch(client: client).one(named: name, takesNewest: takesNewest))
        }
    }

    func items(matching patterns: [FilePattern]) async throws -> [Item] {
        try await FileSearch(client: client).matching(patterns).map(item)
    }

    /// The files that came from a folder; of several with the same path the newest.
    func items(below folder: String) async throws -> [Item] {
        let folder = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        // By bytes: two ways to write the same letters are equal as text, and two files on a disk.
        var newest: [[UInt8]: StoredFile] = [:]
        for file in try await FileSearch(client: client).below(folder) { newest[Array((file.path ?? "").utf8)] = file }
        return try newest.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { _, file in
            var item = try item(file)
            let path = file.path ?? ""
            (item.label, item.place) = (path, try TreePlace(path, below: folder, trusting: trustsNames))
            return item
        }
    }

    private func item(_ file: StoredFile) throws -> Item {
        guard let text = file.digest, let digest = try? BlobDigest(parsing: text) else {
            throw BlobClientError.unexpectedAnswer("it does not tell the file's digest")
        }
        return Item(label: file.name ?? text, digest: digest, name: file.name)
    }

    // MARK: Downloading

    /// Downloads all. A failure is reported; the others go on, unless they would meet the same.
    ///
    /// - Throws: ``ClosedOutput`` alone.
    func run(_ items: [Item], jobs: Int) async throws {
        let queue = WorkQueue(items)
        let closed = Mutex<ClosedOutput?>(nil)
        await reporter.work(jobs: jobs, next: { queue.next() }) { item in
            do throws(ClosedOutput) {
                try await download(item)
            } catch {
                closed.withLock { $0 = error }
            }
        }
        if let closed = closed.withLock({ $0 }) { throw closed }
        if !queue.isEmpty { reporter.endEarly() }
    }

    private func download(_ item: Item) async throws(ClosedOutput) {
        let id = reporter.start(item.label)
        do {
            guard let path = try await path(of: item) else {
                try await toStandardOutput(item, id)
                return reporter.endQuietly(id)
            }
            reporter.rename(id, path.string)
            guard try claims.take(path, for: item.digest) else { return reporter.endQuietly(id) }
            reporter.end(id, with: try await download(item, to: path, id))
        } catch let closed as ClosedOutput {
            throw closed
        } catch {
            reporter.end(id, with: error)
        }
    }

    private func toStandardOutput(_ item: Item, _ id: Int) async throws {
        let progress: @Sendable (TransferEvent) -> Void = { reporter.note($0, of: id) }
        let write: @Sendable (ByteBuffer) async throws -> Void = { bytes in
            try await NIOThreadPool.singleton.runIfActive { try bytes.withUnsafeReadableBytes(Output.write) }
        }
        guard let range else { return try await client.download(item.digest, progress: progress, write: write) }
        guard let blob = try await client.blob(item.digest) else { throw Self.unknown }
        guard let size = blob.size else { throw BlobClientError.unexpectedAnswer("it does not tell the blob's size") }
        guard let bytes = range.bytes(of: size) else {
            throw Problem("--range: the blob has \(size) bytes, and none of these")
        }
        try await client.download(item.digest, range: bytes, progress: progress, write: write)
    }

    private static let unknown = BlobClientError.refused(
        ServerRefusal(status: 404, code: "BLOB_UNKNOWN", message: "it has no blob with this digest"))

    private func download(_ item: Item, to path: FilePath, _ id: Int) async throws -> TransferResult {
        if let place = item.place, case .folder(let folder) = target {
            try await NIOThreadPool.singleton.runIfActive { try place.makeFolders(in: folder) }
        }
        var result = TransferResult(digest: item.digest.hex, rest: [path.string])
        if try await holdsDigest(item.digest, path, id) {
            result.wasThere = true
        } else {
            try await client.download(item.digest, to: path) { reporter.note($0, of: id) }
            result.size = try? path.stat().size
        }
        return result
    }

    /// Where the blob goes; `nil` for standard output.
    func path(of item: Item) async throws -> FilePath? {
        switch target {
        case .standardOutput: return nil
        case .file(let path): return path
        case .folder(let folder):
            if let place = item.place { return place.path(in: folder) }
            var proposed = item.name
            if proposed == nil {
                guard let blob = try await client.blob(item.digest) else { throw Self.unknown }
                proposed = blob.name
            }
            return folder.appending(LocalName.text(proposed, of: item.digest, trusting: trustsNames))
        }
    }

    /// Whether the file is there already, with these bytes.
    ///
    /// - Throws: when it is another one, and may not be replaced.
    private func holdsDigest(_ digest: BlobDigest, _ path: FilePath, _ id: Int) async throws -> Bool {
        guard let kind = try? path.stat(followTargetSymlink: false).type else { return false }
        guard [.regular, .symbolicLink].contains(kind) else {
            let problem = "is no regular file; '-o -' writes to standard output"
            throw BlobClientError.file(path: path.string, problem: problem)
        }
        reporter.remark("is there; computing its digest", on: id)
        if (try? await BlobServiceClient.digest(ofFile: path)) == digest { return true }
        try Task.checkCancellation()
        guard replaces else {
            throw BlobClientError.file(path: path.string, problem: "is there already; --force replaces it")
        }
        return false
    }
}

/// Which paths the downloads of this command have taken, so that none of them replaces another.
private final class Claims: Sendable {
    private let digests = Mutex<[FilePath: BlobDigest]>([:])

    /// - Returns: whether the path is the caller's; it is not when the same blob goes there already.
    /// - Throws: when another blob does.
    func take(_ path: FilePath, for digest: BlobDigest) throws -> Bool {
        let other = digests.withLock { digests in
            defer { digests[path] = digests[path] ?? digest }
            return digests[path]
        }
        guard let other else { return true }
        guard other == digest else {
            let problem = "another blob of the same name goes there; download this one alone, with '-o FILE'"
            throw BlobClientError.file(path: path.string, problem: problem)
        }
        return false
    }
}
