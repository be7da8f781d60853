// The behaviour of a server that knows the reference document and nothing else: six operations on blobs in memory, and
// the list of files. Faults are given to it beforehand, for each operation in the order in which its requests come.

import BlobCore
import Foundation
import Synchronization

enum Operation: String, CaseIterable, Sendable {
    case initiate, append, status, complete, destroy, download, list, other
}

/// The fault of one request.
enum Fault: Sendable, Equatable {
    /// All is well with this one.
    case nothing
    /// Refused when it has come; nothing is done.
    case answer(Int, retryAfter: String? = nil)
    /// The same, with the server's name for it.
    case named(Int, String)
    /// Refused at its head. Its body is not read, and the connection is closed.
    case answerAtHead(Int)
    /// Done, and then refused.
    case answerAfterActing(Int)
    case closeBeforeActing
    case closeAfterActing
    /// The connection is closed when this many bytes of the request's body have come, or this many of a download's have
    /// gone.
    case cut(after: Int)
    /// This many bytes of a download go, and then no more, while the connection stays.
    case stall(after: Int)
    /// Nothing is done and nothing answered, while the connection stays.
    case silence
    /// The upload is gone from now on.
    case forget
    /// The bytes are elsewhere.
    case redirect(Int, to: String?)
    /// An answer whose body ends with the connection alone, which the client has to close. It begins with the bytes of
    /// the blob.
    case endless(Int, headers: [String: String] = [:])
    /// Another program answers, with this status and this body.
    case strange(Int, String)
}

/// How this server is.
struct Manners: Sendable {
    enum Errors: Sendable, CaseIterable {
        case json, bare, html
    }

    /// Beyond the reference document.
    enum Extra: Sendable {
        /// Exact offsets in answers. They are not guarded.
        case offsets
        case ranges
        case repeatedCompletion
        /// Each page of a list tells the cursor of the next.
        case cursors
    }

    var errors = Errors.bare
    /// Whether the bytes of an append that broke count.
    var keepsBroken = true
    var extras: Set<Extra> = []
    /// Added to the offset that is told after appends and by status.
    var offsetLie: Int64 = 0
    /// The uploads lose their bytes when they have been told.
    var losesBytes = false
    /// One byte of every download is another.
    var damagesDownloads = false
    /// This many of the first pieces get another first byte.
    var damagesUploads = 0
    /// Answers of unknown length, which end with the connection.
    var hidesLength = false
}

struct StubRequest: Sendable {
    var operation: Operation
    /// An upload's id or a blob's digest.
    var subject = ""
    var query: [String: String] = [:]
    var headers: [String: String] = [:]
    var body: [UInt8] = []
}

struct StubAnswer: Sendable {
    var status: Int
    var headers: [(String, String)] = []
    var body: [UInt8] = []
}

/// A file that was published.
struct PublishedFile: Sendable, Equatable {
    var id: String
    var name: String?
    var isTemporary: Bool
    var path: String?
    var digest: String
}

final class ReferenceModel: Sendable {
    private struct Upload {
        var name: String?
        var isTemporary: Bool
        var path: String?
        var bytes: [UInt8] = []
    }

    private struct State {
        var uploads: [String: Upload] = [:]
        var blobs: [String: [UInt8]] = [:]
        var completed: [String: PublishedFile] = [:]
        var files: [PublishedFile] = []
        var faults: [Operation: [Fault]] = [:]
        var seen: [Operation] = []
        var downloads: [[String: String]] = []
        var received = 0
        var damagesLeft = 0
        var connections = 0
    }

    let manners: Manners
    static let token = "the-bearer-token"
    /// A request has come that is not answered.
    let silent = Event()
    /// The last connection has ended.
    let noConnection = Event()
    private let state: Mutex<State>

    init(_ manners: Manners, _ faults: [Operation: [Fault]]) {
        self.manners = manners
        state = Mutex(State(faults: faults, damagesLeft: manners.damagesUploads))
    }

    // MARK: Records for tests

    /// The operations that were asked for, in order.
    var seen: [Operation] { state.withLock { $0.seen } }
    /// The headers of the downloads that were asked for, in order, by names of small letters.
    var downloads: [[String: String]] { state.withLock { $0.downloads } }
    /// Bytes of uploads that came, whether they counted or not.
    var received: Int { state.withLock { $0.received } }
    var files: [PublishedFile] { state.withLock { $0.files } }
    var openUploads: Int { state.withLock { $0.uploads.count } }
    var openConnections: Int { state.withLock { $0.connections } }
    var faultsLeft: Int { state.withLock { $0.faults.values.reduce(0) { $0 + $1.count } } }

    func blob(_ digest: String) -> [UInt8]? { state.withLock { $0.blobs[digest] } }

    func publish(_ bytes: [UInt8]) -> BlobDigest {
        let digest = BlobDigest(of: bytes)
        state.withLock { $0.blobs[digest.hex] = bytes }
        return digest
    }

    /// Files that were there before, and those of them that somebody else deletes.
    func publishFiles(_ count: Int) {
        state.withLock { state in
            state.files = (0..<count).map { number in
                PublishedFile(
                    id: "file-\(number)", name: nil, isTemporary: false, path: nil,
                    digest: BlobDigest(of: "\(number)".utf8).hex)
            }
        }
    }

    func deleteFile(_ id: String) {
        state.withLock { state in state.files.removeAll { $0.id == id } }
    }

    // MARK: Calls of connections

    /// The fault that is due for this request.
    func begins(_ request: StubRequest) -> Fault? {
        let operation = request.operation
        return state.withLock { state in
            state.seen.append(operation)
            if operation == .download { state.downloads.append(request.headers) }
            guard state.faults[operation]?.isEmpty == false else { return nil }
            return state.faults[operation]?.removeFirst()
        }
    }

    func connected(_ change: Int) {
        let isNone = state.withLock { state in
            state.connections += change
            return state.connections == 0
        }
        if isNone { noConnection.happens() }
    }

    func receives(_ count: Int) {
        state.withLock { $0.received += count }
    }

    /// The connection broke within the body.
    func breaks(_ request: StubRequest) {
        guard manners.keepsBroken, [.append, .complete].contains(request.operation) else { return }
        guard request.headers["portsip-upload-token"] == Self.uploadToken(request.subject) else { return }
        state.withLock { $0.uploads[request.subject]?.bytes += request.body }
    }

    func forget(_ upload: String) {
        state.withLock { _ = $0.uploads.removeValue(forKey: upload) }
    }

    func answer(_ request: StubRequest) -> StubAnswer {
        if request.operation != .download, request.headers["authorization"] != "Bearer \(Self.token)" {
            return refusal(401, "UNAUTHORIZED")
        }
        return state.withLock { state in
            switch request.operation {
            case .initiate: initiate(request, &state)
            case .append: append(request, &state)
            case .status: status(request, &state)
            case .complete: complete(request, &state)
            case .destroy: destroy(request, &state)
            case .download: download(request, state)
            case .list: list(request, state)
            case .other: refusal(404, "NOT_FOUND")
            }
        }
    }

    func refusal(_ status: Int, _ code: String = "SOME_CODE") -> StubAnswer {
        switch manners.errors {
        case .bare: StubAnswer(status: status)
        case .json:
            StubAnswer(
                status: status, headers: [("Content-Type", "application/json")],
                body: Array(#"{"errors":[{"code":"\#(code)","message":"No."}]}"#.utf8))
        case .html:
            StubAnswer(status: status, headers: [("Content-Type", "text/html")], body: Array("<h1>No</h1>".utf8))
        }
    }

    // MARK: The operations

    private func initiate(_ request: StubRequest, _ state: inout State) -> StubAnswer {
        guard request.body.isEmpty else { return refusal(400, "VALIDATE_FAILED") }
        let id = UploadID().description
        state.uploads[id] = Upload(
            name: request.query["filename"], isTemporary: request.query["temporary"] == "true",
            path: request.query["path"])
        return uploadAnswer(202, id, 0)
    }

    private func append(_ request: StubRequest, _ state: inout State) -> StubAnswer {
        if let refusal = refuses(request, state) { return refusal }
        take(request, &state)
        let count = state.uploads[request.subject]?.bytes.count ?? 0
        if manners.losesBytes { state.uploads[request.subject]?.bytes = [] }
        return uploadAnswer(203, request.subject, count)
    }

    private func status(_ request: StubRequest, _ state: inout State) -> StubAnswer {
        guard let upload = state.uploads[request.subject] else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") }
        return uploadAnswer(204, request.subject, upload.bytes.count)
    }

    private func complete(_ request: StubRequest, _ state: inout State) -> StubAnswer {
        if manners.extras.contains(.repeatedCompletion), let file = state.completed[request.subject] {
            return created(file)
        }
        if let refusal = refuses(request, state) { return refusal }
        take(request, &state)
        guard let upload = state.uploads[request.subject] else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") }
        let digest = BlobDigest(of: upload.bytes).hex
        guard request.query["digest"] == digest else { return refusal(400, "DIGEST_INVALID") }
        let file = PublishedFile(
            id: "file-\(state.files.count)", name: upload.name, isTemporary: upload.isTemporary,
            path: upload.path, digest: digest)
        state.blobs[digest] = upload.bytes
        state.files.append(file)
        state.completed[request.subject] = file
        state.uploads[request.subject] = nil
        return created(file)
    }

    private func created(_ file: PublishedFile) -> StubAnswer {
        StubAnswer(
            status: 201, headers: [("Content-Type", "application/json")], body: Array(#"{"id":"\#(file.id)"}"#.utf8))
    }

    private func destroy(_ request: StubRequest, _ state: inout State) -> StubAnswer {
        guard state.uploads.removeValue(forKey: request.subject) != nil else {
            return refusal(404, "BLOB_UPLOAD_UNKNOWN")
        }
        return StubAnswer(status: 204)
    }

    private func download(_ request: StubRequest, _ state: State) -> StubAnswer {
        guard var bytes = state.blobs[request.subject] else { return refusal(404, "BLOB_UNKNOWN") }
        if manners.damagesDownloads, !bytes.isEmpty { bytes[bytes.count / 2] ^= 1 }
        let headers = [
            ("Content-Type", "application/octet-stream"), ("Content-Disposition", #"attachment; filename="example""#),
        ]
        guard manners.extras.contains(.ranges), let range = request.headers["range"],
            case let ends = range.dropFirst("bytes=".count).split(separator: "-"),
            let first = ends.first.flatMap({ Int($0) }),
            request.headers["if-range"] ?? "\"\(request.subject)\"" == "\"\(request.subject)\""
        else { return StubAnswer(status: 200, headers: headers, body: bytes) }
        guard first < bytes.count else {
            return StubAnswer(status: 416, headers: [("Content-Range", "bytes */\(bytes.count)")])
        }
        let last = min(ends.dropFirst().first.flatMap { Int($0) } ?? .max, bytes.count - 1)
        return StubAnswer(
            status: 206, headers: headers + [("Content-Range", "bytes \(first)-\(last)/\(bytes.count)")],
            body: Array(bytes[first...last]))
    }

    /// In the order of their ids, which are `file-0`, `file-1` and so on.
    private func list(_ request: StubRequest, _ state: State) -> StubAnswer {
        let top = request.query["top"].flatMap { Int($0) } ?? 100
        let rest =
            if let cursor = request.query["after"] {
                state.files.filter { Self.number($0.id) > Self.number(cursor) }
            } else {
                Array(state.files.dropFirst(request.query["skip"].flatMap { Int($0) } ?? 0))
            }
        var answer: [String: Any] = [
            "count": state.files.count,
            "items": rest.prefix(top).map { ["id": $0.id, "digest": $0.digest] },
        ]
        if manners.extras.contains(.cursors) {
            answer["next"] = rest.count > top ? rest[top - 1].id as Any : NSNull()
        }
        let body = (try? JSONSerialization.data(withJSONObject: answer)) ?? Data()
        return StubAnswer(status: 200, headers: [("Content-Type", "application/json")], body: Array(body))
    }

    private static func number(_ id: String) -> Int { Int(id.dropFirst("file-".count)) ?? 0 }

    // MARK: Uploads

    private func refuses(_ request: StubRequest, _ state: State) -> StubAnswer? {
        guard state.uploads[request.subject] != nil else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") }
        guard request.headers["portsip-upload-token"] == Self.uploadToken(request.subject) else {
            return refusal(400, "BLOB_UPLOAD_INVALID")
        }
        guard request.headers["content-type"] == "application/octet-stream" else { return refusal(415) }
        return nil
    }

    private func take(_ request: StubRequest, _ state: inout State) {
        var bytes = request.body
        if state.damagesLeft > 0, !bytes.isEmpty {
            bytes[0] ^= 1
            state.damagesLeft -= 1
        }
        state.uploads[request.subject]?.bytes += bytes
    }

    private func uploadAnswer(_ status: Int, _ id: String, _ count: Int) -> StubAnswer {
        let told = status == 202 ? 0 : Int64(count) + manners.offsetLie
        var headers = [
            ("PortSIP-Upload-ID", id), ("PortSIP-Upload-Token", Self.uploadToken(id)),
            ("Range", "0-\(max(0, told - 1))"),
        ]
        if manners.extras.contains(.offsets) { headers.append(("Upload-Offset", "\(max(0, told))")) }
        return StubAnswer(status: status, headers: headers)
    }

    private static func uploadToken(_ id: String) -> String { "token of \(id)" }
}
