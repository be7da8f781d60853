// Downloads: conditions, ranges and headers of a blob's answer.

import BlobCore
public import BlobStorage
import Foundation
public import HTTPServerCore
import HTTPTypes
import NIOCore

/// What an administrator decides about downloads.
public struct DownloadPolicy: Sendable {
    /// Whether a download needs a token with the scope `read`.
    public var isPrivate: Bool
    /// The value of `Cross-Origin-Resource-Policy`.
    public var crossOriginResourcePolicy: String
    /// Whether clients are sent to where the bytes are, where they can fetch them there.
    public var redirects: Bool
    let clock: any WallClock

    public init(isPrivate: Bool, crossOriginResourcePolicy: String, redirects: Bool = false, clock: any WallClock) {
        self.isPrivate = isPrivate
        self.redirects = redirects
        self.crossOriginResourcePolicy = crossOriginResourcePolicy
        self.clock = clock
    }
}

extension PortSIPBlobs {
    func download(_ request: Request, _ path: Captures) async throws -> Response {
        // The colon of 'sha256:' is legal in a path, but not every client leaves it alone.
        let name = path["digest"]
        let digest = try BlobDigest(parsing: PercentEncoding.decoded(name) ?? String(name))
        let opened = try await blobs.open(digest)
        let (answer, range) = try policy.answer(to: request, with: opened.blob)
        guard let range else { return answer }
        return try await sending(range, of: opened, in: answer, to: request)
    }

    /// The answer, if the blob is open already and its bytes are at hand.
    func rememberedDownload(_ request: Request, _ path: Captures) throws(WireError) -> Response? {
        guard let digest = try? BlobDigest(parsing: path["digest"]), let opened = blobs.remembered(digest) else {
            return nil
        }
        let (answer, range) = try policy.answer(to: request, with: opened.blob)
        guard let range else { return answer }
        return opened.content.body(range).map(answer.with)
    }

    private func sending(
        _ range: Range<Int64>, of opened: OpenBlob, in answer: Response, to request: Request
    ) async throws(BlobError) -> Response {
        guard case .remote(let remote) = opened.content else {
            return opened.content.body(range).map(answer.with) ?? answer
        }
        guard request.method == .get, !range.isEmpty else { return answer }
        if policy.redirects, let location = remote.location?(contentDisposition(opened.blob.name)) {
            return policy.redirection(to: location)
        }
        let bytes = try await remote.bytes(of: range, on: request.eventLoop.map(EventLoopExecutor.init))
        return answer.with(.stream({ try await bytes.next() }, count: range.upperBound - range.lowerBound))
    }
}

extension Response {
    fileprivate func with(_ body: Body) -> Response {
        var response = self
        response.body = body
        return response
    }
}

extension BlobContent {
    /// A range of bytes that are on this machine; `nil` where they are not.
    fileprivate func body(_ range: Range<Int64>) -> Response.Body? {
        switch self {
        case .buffer(let buffer):
            let start = buffer.readerIndex + Int(range.lowerBound)
            return buffer.getSlice(at: start, length: range.count).map(Response.Body.buffer) ?? .empty
        case .file(let file): return .file(file, range)
        case .remote: return nil
        }
    }
}

extension BlobFile: SendableFile {}

extension DownloadPolicy {
    /// The answer to a `GET` or `HEAD` of a blob (RFC 9110 §13.2.2 for the order of the conditions).
    ///
    /// - Returns: the answer without its body, and the bytes that belong there; `nil` where none do.
    /// - Throws: ``WireError`` when a condition or the range is not met.
    func answer(to request: Request, with blob: Blob) throws(WireError) -> (Response, Range<Int64>?) {
        let tag = "\"\(blob.digest.hex)\""
        var fields: HTTPFields = [
            .eTag: tag,
            .cacheControl: cacheControl(blob),
            .reprDigest: reprDigest(blob.digest),
            .acceptRanges: "bytes",
            .xContentTypeOptions: "nosniff",
            .contentSecurityPolicy: "sandbox; default-src 'none'",
            .crossOriginResourcePolicy: crossOriginResourcePolicy,
        ]
        if let condition = request.fields[.ifMatch], !EntityTags.match(condition, tag, weakly: false) {
            throw WireError(.preconditionFailed, "The blob is not the one that 'If-Match' names.")
        }
        if let condition = request.fields[.ifNoneMatch], EntityTags.match(condition, tag, weakly: true) {
            return (Response(.notModified, fields: fields), nil)
        }
        // Appended: setting one looks at all that there are.
        fields.append(HTTPField(name: .contentType, value: "application/octet-stream"))
        fields.append(HTTPField(name: .contentDisposition, value: contentDisposition(blob.name)))
        // RFC 9110 §14.2: a range is for GET only.
        let range =
            request.method == .get ? request.fields[.range].flatMap { ByteRange(parsing: $0, size: blob.size) } : nil
        let applies = request.fields[.ifRange].map { $0.utf8.elementsEqual(tag.utf8) } ?? true
        switch applies ? range : nil {
        case nil:
            fields.append(HTTPField(name: .contentLength, value: String(blob.size)))
            return (Response(.ok, fields: fields), 0..<blob.size)
        case .unsatisfiable:
            throw WireError(
                .rangeInvalid, "The range is outside the blob's \(blob.size) bytes.", detail: .size(blob.size)
            )
        case .satisfiable(let range):
            fields.append(HTTPField(name: .contentRange, value: "\(ContentRange(range, of: blob.size))"))
            fields.append(HTTPField(name: .contentLength, value: String(range.upperBound - range.lowerBound)))
            return (Response(.partialContent, fields: fields), range)
        }
    }

    /// Sends a client to where it can fetch the bytes by itself. The address holds for minutes: nobody may keep it.
    func redirection(to location: String) -> Response {
        Response(
            .temporaryRedirect,
            fields: [
                .location: location, .cacheControl: "no-store", .crossOriginResourcePolicy: crossOriginResourcePolicy,
            ]
        )
    }

    private func cacheControl(_ blob: Blob) -> String {
        let visibility = isPrivate ? "private" : "public"
        guard let expires = blob.expires else { return "\(visibility), max-age=31536000, immutable" }
        let life = max(0, expires.timeIntervalSince(clock.now)).rounded(.down)
        return "\(visibility), max-age=\(Int(min(life, 31_536_000)))"
    }
}

/// Lists of entity tags in conditions (RFC 9110 §13.1).
enum EntityTags {
    /// The bytes of a condition that may match: those of more than a hundred tags of this server.
    private static let longest = 8 * 1024

    /// - Parameter tag: with its quotes.
    static func match(_ condition: String, _ tag: String, weakly: Bool) -> Bool {
        let (bytes, weakTag) = (condition.utf8.span, "W/" + tag)
        guard bytes.count <= longest else { return false }
        var members = ListMembers()
        while let member = members.next(in: bytes) {
            if bytes.isExactly(tag, member) || weakly && bytes.isExactly(weakTag, member) { return true }
            if bytes.isExactly("*", member) { return true }
        }
        return false
    }
}

/// A `Range` header of one range, held against a size (RFC 9110 §14.1.2).
enum ByteRange: Equatable {
    case satisfiable(Range<Int64>)
    case unsatisfiable

    /// `nil` when the header is to be ignored: several ranges, another unit, or no range at all.
    init?(parsing text: String, size: Int64) {
        let (bytes, unit) = (text.utf8.span, "bytes=")
        guard bytes.begins(with: unit, 0..<bytes.count) else { return nil }
        let range = bytes.trimmed(unit.utf8.count..<bytes.count)
        guard let dash = bytes.firstIndex(of: UInt8(ascii: "-"), in: range),
            bytes.areDigits(range.lowerBound..<dash), bytes.areDigits(dash + 1..<range.upperBound)
        else { return nil }
        switch (bytes.position(range.lowerBound..<dash), bytes.position(dash + 1..<range.upperBound)) {
        case (nil, nil): return nil
        case (nil, let count?):
            self = count == 0 || size == 0 ? .unsatisfiable : .satisfiable(max(0, size - count)..<size)
        case (let first?, nil):
            self = first < size ? .satisfiable(first..<size) : .unsatisfiable
        case (let first?, let last?):
            self = first <= last && first < size ? .satisfiable(first..<min(last, size - 1) + 1) : .unsatisfiable
        }
    }

}

extension Span<UInt8> {
    /// The number that these digits are; `nil` where there are none. One that does not fit lies beyond any blob.
    fileprivate func position(_ digits: Range<Int>) -> Int64? {
        digits.isEmpty ? nil : Int64(decimal: text(digits)) ?? .max
    }
}

/// `attachment` with the name: plain where ASCII allows (RFC 6266), and encoded beside it where not (RFC 8187). What
/// nobody would see of a name that an earlier version took becomes `_`.
func contentDisposition(_ name: FileName) -> String {
    let name = HiddenCharacter.replaced(in: name.text) { _ in "_" }
    var plain = ""
    for scalar in name.unicodeScalars {
        switch scalar {
        case "\"", "\\": plain.append("\\\(scalar)")
        case " "..."~": plain.unicodeScalars.append(scalar)
        default: plain.append("_")
        }
    }
    guard !name.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else { return "attachment; filename=\"\(plain)\"" }
    let encoded = PercentEncoding.encoded(name, keeping: attributeCharacters.contains)
    return "attachment; filename=\"\(plain)\"; filename*=UTF-8''\(encoded)"
}

/// `attr-char` of RFC 8187 §3.2.1.
private let attributeCharacters = Set(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~".utf8
)
