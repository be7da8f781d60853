// An answer as the routes make it.

import BlobCore
import BlobStorage
import HTTPTypes
import NIOCore

/// An answer to a request.
struct Response: Sendable {
    enum Body: Sendable {
        case empty
        case buffer(ByteBuffer)
        /// A part of a blob.
        case content(BlobContent, Range<Int64>)
        /// Bytes that have begun to come over the network, and their number.
        case remote(RemoteBytes, count: Int64)

        /// In bytes.
        var size: Int64 {
            switch self {
            case .empty: 0
            case .buffer(let buffer): Int64(buffer.readableBytes)
            case .content(_, let range): range.upperBound - range.lowerBound
            case .remote(_, let count): count
            }
        }
    }

    var status: HTTPResponse.Status
    var fields: HTTPFields
    var body: Body
    /// What the answer tells, for the log, where it is an error.
    var error: BlobError?
    /// Who asked, for the log.
    var subject: Subject?
    /// The file that was made or removed, for the log.
    var file: File?
    /// What was asked for, for the log and the metrics.
    var route = Route.unknownName

    /// - Parameter fields: without `Content-Length`, which is the body's, except in an answer without a body.
    init(_ status: HTTPResponse.Status, fields: HTTPFields = [:], body: Body = .empty) {
        self.status = status
        self.fields = fields
        self.body = body
        // RFC 9110 §8.6: a 204 bears none, and the length of a 304 would be that of a body which it does not have.
        guard status != .noContent, status != .notModified, self.fields[.contentLength] == nil else { return }
        self.fields[.contentLength] = String(body.size)
    }
}
