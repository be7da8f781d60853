// An answer as endpoints make it.

public import HTTPTypes
public import NIOCore

/// An answer to a request.
public struct Response: Sendable {
    public enum Body: Sendable {
        case empty
        case buffer(ByteBuffer)
        /// A part of a file.
        case file(any SendableFile, Range<Int64>)
        /// Bytes that have begun to come from elsewhere, and their number. Called by one caller at a time; `nil` after
        /// the last of them.
        case stream(@Sendable () async throws -> ByteBuffer?, count: Int64)

        /// In bytes.
        var size: Int64 {
            switch self {
            case .empty: 0
            case .buffer(let buffer): Int64(buffer.readableBytes)
            case .file(_, let range): range.upperBound - range.lowerBound
            case .stream(_, let count): count
            }
        }
    }

    public var status: HTTPResponse.Status
    public var fields: HTTPFields
    public var body: Body

    /// - Parameter fields: without `Content-Length`, which is the body's, except in an answer without a body.
    public init(_ status: HTTPResponse.Status, fields: HTTPFields = [:], body: Body = .empty) {
        self.status = status
        self.fields = fields
        self.body = body
        // RFC 9110 §8.6: a 204 bears none, and the length of a 304 would be that of a body which it does not have.
        guard status != .noContent, status != .notModified, self.fields[.contentLength] == nil else { return }
        self.fields[.contentLength] = String(body.size)
    }
}

/// An open file that parts of can be sent.
public protocol SendableFile: Sendable {
    /// Lends the file to a sending by the kernel, which must not close the handle; the future ends when nothing is read
    /// by it any more.
    func lending(_ send: (NIOFileHandle) -> EventLoopFuture<Void>) -> EventLoopFuture<Void>

    /// Reads bytes, and waits for the disk where it has to.
    ///
    /// - Returns: how many; fewer than the range has where the file ends within it.
    func read(_ range: Range<Int64>, into buffer: inout ByteBuffer) throws -> Int

    /// Reads bytes that the page cache holds, without ever waiting for the disk.
    ///
    /// - Returns: whether all of them were there; the buffer is unchanged when not.
    func readCached(_ range: Range<Int64>, into buffer: inout ByteBuffer) -> Bool
}
