// Standard input, read so that an interruption does not wait for the next byte.

import Glibc
import NIOCore
import NIOPosix
import SystemPackage

enum StandardInput {
    private static let stepByteCount = 256 << 10
    /// How often it is looked whether the task was cancelled.
    private static let pauseMilliseconds: CInt = 100

    /// The next bytes; `nil` at the end.
    ///
    /// - Throws: `CancellationError` soon after the task is cancelled.
    static func next() async throws -> ByteBuffer? {
        while true {
            try Task.checkCancellation()
            let step = try await NIOThreadPool.singleton.runIfActive { try read() }
            switch step {
            case .nothingYet: continue
            case .bytes(let bytes): return bytes
            case .end: return nil
            }
        }
    }

    private enum Step {
        case nothingYet
        case bytes(ByteBuffer)
        case end
    }

    private static func read() throws -> Step {
        var watched = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&watched, 1, pauseMilliseconds) > 0 else { return .nothingYet }
        var buffer = ByteBuffer()
        try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: stepByteCount) { bytes in
            do {
                return try FileDescriptor.standardInput.read(into: bytes)
            } catch {
                throw Problem("standard input cannot be read: \(error)")
            }
        }
        return buffer.readableBytes > 0 ? .bytes(buffer) : .end
    }

    /// A line, or everything where there is no more than that; not more than `limit` bytes.
    static func line(limit: Int) async throws -> String {
        var line = ByteBuffer()
        while var bytes = try await next() {
            line.writeBuffer(&bytes)
            if line.readableBytesView.contains(UInt8(ascii: "\n")) || line.readableBytes > limit { break }
        }
        let first = line.readableBytesView.prefix { $0 != UInt8(ascii: "\n") }
        return String(decoding: first.prefix(limit), as: UTF8.self)
    }
}
