// The uploads of one command, several at a time.

import BlobClient
import BlobCore
import NIOPosix
import Synchronization

struct Uploads: Sendable {
    let server: BlobServer
    let options: UploadOptions
    /// What need not be sent because the caller has it on the server; `nil` where all is sent.
    let existing: OwnFiles?
    let reporter: TransferReporter
    var journal = UploadJournal.standard

    /// Uploads everything on the walk. What fails is reported; the others go on.
    func run(_ walk: FileWalk, jobs: Int) async {
        let walk = Walk(walk)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<jobs {
                group.addTask {
                    while !Task.isCancelled, let item = await walk.next() { await take(item) }
                }
            }
        }
        if !walk.isAtEnd { reporter.endEarly() }
    }

    /// Tells the reporter how much there is, once that is known.
    func count(_ walk: FileWalk) async {
        guard reporter.style == .terminal else { return }
        let walk = Walk(walk)
        var (files, bytes) = (0, Int64?(0))
        while !Task.isCancelled, let item = await walk.next() {
            switch item {
            case .file(_, let size): (files, bytes) = (files + 1, bytes.map { $0 + size })
            case .stream: (files, bytes) = (files + 1, nil)
            case .failed: files += 1
            case .passedOver: break
            }
        }
        reporter.expect(files: files, bytes: bytes)
    }

    private func take(_ item: FileWalk.Item) async {
        switch item {
        case .file(let path, _): await upload(path)
        case .stream: await uploadStream()
        case .passedOver(let path, let reason): reporter.passOver(path, reason)
        case .failed(let path, let problem):
            reporter.end(reporter.start(path), with: BlobServerError.file(path: path, problem: problem))
        }
    }

    func upload(_ path: String) async {
        await report(path) { id in
            if let existing, let there = try await result(of: path, in: existing, id) { return there }
            let file = try await server.upload(file: path, options: options, journal: journal) {
                reporter.note($0, of: id)
            }
            return result(file, path)
        }
    }

    private func uploadStream() async {
        let label = options.name ?? "standard input"
        await report(label) { id in
            let file = try await server.upload(
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

    private func result(of path: String, in existing: OwnFiles, _ id: Int) async throws -> TransferResult? {
        reporter.remark("computing its digest", on: id)
        let digest = try await BlobServer.digest(ofFile: path)
        guard let blob = try await existing.blob(digest, isTemporary: options.isTemporary) else { return nil }
        return TransferResult(
            digest: digest.hex, rest: [server.url(of: digest), path], size: blob.size, wasThere: true)
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
