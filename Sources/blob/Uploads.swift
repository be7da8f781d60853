// The uploads of one command, several at a time.

import BlobClient
import BlobCore
import NIOPosix
import Synchronization
import SystemPackage

/// Files that are not sent, because the caller has them on the server.
enum Sparing: Sendable {
    case nothing
    /// A file of a folder whose bytes the caller has there under the same path.
    case samePlace(OwnFiles)
    /// A file whose bytes the caller has, wherever.
    case sameBytes(OwnFiles)
}

struct Uploads: Sendable {
    let client: BlobServiceClient
    let options: UploadOptions
    let sparing: Sparing
    /// Whether a name that the server cannot hold is an error.
    let hasStrictNames: Bool
    let reporter: TransferReporter
    var journal = UploadJournal.standard
    private let told = Told()

    init(
        client: BlobServiceClient, options: UploadOptions, sparing: Sparing = .nothing, hasStrictNames: Bool = false,
        reporter: TransferReporter
    ) {
        (self.client, self.options, self.sparing) = (client, options, sparing)
        (self.hasStrictNames, self.reporter) = (hasStrictNames, reporter)
    }

    /// Uploads everything on the walk. A failure is reported; the others go on, unless they would meet the same.
    func run(_ walk: FileWalk, jobs: Int) async {
        let walk = Walk(walk)
        await reporter.work(jobs: jobs, next: { await walk.next() }) { await take($0) }
        if !walk.isAtEnd { reporter.endEarly() }
    }

    /// Tells the reporter how much there is, once that is known.
    func count(_ walk: FileWalk) async {
        guard reporter.style == .terminal else { return }
        let walk = Walk(walk)
        var (files, bytes) = (0, Int64?(0))
        while !Task.isCancelled, let item = await walk.next() {
            switch item {
            case .file(_, let size, _): (files, bytes) = (files + 1, bytes.map { $0 + size })
            case .stream: (files, bytes) = (files + 1, nil)
            case .failed: files += 1
            case .passedOver: break
            }
        }
        reporter.expect(files: files, bytes: bytes)
    }

    private func take(_ item: FileWalk.Item) async {
        switch item {
        case .file(let path, let size, let place): await upload(path, size, place)
        case .stream: await uploadStream()
        case .passedOver(let path, let reason): reporter.passOver(path.string, reason)
        case .failed(let path, let problem):
            reporter.end(
                reporter.start(path.string), with: BlobClientError.file(path: path.string, problem: problem))
        }
    }

    private func upload(_ path: FilePath, _ size: Int64, _ place: FilePath?) async {
        await report(path.string) { id in
            var options = options
            options.name = try options.name ?? path.absolute.lastComponent.map { try name($0, of: path, place) }
            if let place { options.path = remotePath(place, of: path) }
            if let there = try await spared(path, size, options, id) { return there }
            return try await send(path, options, id)
        }
    }

    /// Goes on with what an earlier run has left.
    func resume(_ entry: UploadJournal.Entry) async {
        await report(entry.path.string) { id in try await send(entry.path, entry.options, id) }
    }

    private func send(_ path: FilePath, _ options: UploadOptions, _ id: Int) async throws -> TransferResult {
        let file = try await client.upload(file: path, options: options, journal: journal) {
            reporter.note($0, of: id)
        }
        return result(file, path.string)
    }

    // MARK: Names

    /// - Throws: where names are strict and this one, or that of a folder on the way, is none for the server.
    private func name(_ name: FilePath.Component, of path: FilePath, _ place: FilePath?) throws -> String {
        let (name, way) = (RemoteName(name), place.map { RemotePath($0) })
        guard name.isChanged || way?.isChanged ?? false else { return name.text }
        let hidden = (name.hidden ?? way?.hidden).map { ": it holds \($0), which nobody would see there" } ?? ""
        if hasStrictNames {
            let remedy = place == nil ? "give it another with --name" : "rename it"
            let problem =
                "its name, or that of a folder on its way, is none that the server can hold\(hidden); \(remedy)"
            throw BlobClientError.file(path: path.string, problem: problem)
        }
        if told.isFirst(.changedName) {
            reporter.warn(
                "names that the server cannot hold are written with percent signs there, such as '\(name.text)'\(hidden); "
                    + "--name gives a single file another, --strict-names refuses them")
        }
        return name.text
    }

    private func remotePath(_ place: FilePath, of path: FilePath) -> String? {
        let remote = RemotePath(place)
        if remote.text == nil && told.isFirst(.longPath) {
            reporter.warn(
                "paths of more than 1,024 bytes are not told to the server, such as that of '\(path)': "
                    + "'blob download --recursive' does not find such files")
        }
        return remote.text
    }

    private func uploadStream() async {
        let label = options.name ?? "standard input"
        await report(label) { id in
            let file = try await client.upload(
                options: options, progress: { reporter.note($0, of: id) }, next: { try await StandardInput.next() })
            return result(file, options.name ?? "-")
        }
    }

    private func report(_ label: String, _ body: (Int) async throws -> TransferResult) async {
        let id = reporter.start(label)
        do {
            reporter.end(id, with: try await body(id))
        } catch {
            reporter.end(id, with: error)
        }
    }

    /// The result for a file that need not be sent, since a sufficient one is on the server already.
    private func spared(
        _ path: FilePath, _ size: Int64, _ options: UploadOptions, _ id: Int
    ) async throws -> TransferResult? {
        let (own, place): (OwnFiles, String?)
        switch sparing {
        case .nothing: return nil
        case .sameBytes(let files): (own, place) = (files, nil)
        case .samePlace(let files):
            guard let path = options.path, try await files.mayHave(path, size: size) else { return nil }
            (own, place) = (files, path)
        }
        reporter.remark("computing its digest", on: id)
        let digest = try await BlobServiceClient.digest(ofFile: path)
        guard let blob = try await own.blob(digest, at: place, isTemporary: options.isTemporary) else { return nil }
        return TransferResult(
            digest: digest.hex, rest: [client.url(of: digest), path.string], size: blob.size, wasThere: true)
    }

    private func result(_ file: StoredFile, _ path: String) -> TransferResult {
        TransferResult(digest: file.digest ?? "", rest: [file.url ?? "", path], file: file, size: file.size)
    }
}

/// A walk that several tasks take from.
private final class Walk: Sendable {
    private let state: Mutex<(walk: FileWalk, isAtEnd: Bool)>

    init(_ walk: FileWalk) { state = Mutex((walk, false)) }

    var isAtEnd: Bool { state.withLock { $0.isAtEnd } }

    /// - Returns: `nil` at the end, and in a cancelled task.
    func next() async -> FileWalk.Item? {
        try? await NIOThreadPool.singleton.runIfActive { [self] in
            state.withLock { state in
                let item = state.walk.next()
                state.isAtEnd = item == nil
                return item
            }
        }
    }
}

/// Remarks that were made once, and need not be made again.
private final class Told: Sendable {
    enum Matter { case changedName, longPath }

    private let matters = Mutex<Set<Matter>>([])

    func isFirst(_ matter: Matter) -> Bool { matters.withLock { $0.insert(matter).inserted } }
}
