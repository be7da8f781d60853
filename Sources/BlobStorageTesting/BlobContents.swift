// Reading a blob that a byte store opened, whatever its form.

import BlobStorage
import Glibc
import NIOCore

extension BlobContent {
    /// All bytes. Blocks while it reads a file: for the small blobs of tests.
    func bytes() async throws -> [UInt8] {
        switch self {
        case .buffer(let buffer): return Array(buffer.readableBytesView)
        case .file(let file):
            let handle = try file.makeHandle()
            defer { try? handle.close() }
            return try handle.withUnsafeFileDescriptor { try Self.read(Int(file.size), from: $0) }
        case .remote(let blob):
            guard blob.size > 0 else { return [] }
            let source = try await blob.bytes(of: 0..<blob.size)
            var bytes: [UInt8] = []
            while let buffer = try await source.next() { bytes.append(contentsOf: buffer.readableBytesView) }
            return bytes
        }
    }

    private static func read(_ size: Int, from descriptor: CInt) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        var position = 0
        while position < size {
            let count = bytes.withUnsafeMutableBytes { buffer in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[position...])
                return pread(descriptor, rest.baseAddress, rest.count, position)
            }
            guard count >= 0 else { throw IOError(errnoCode: errno, reason: "pread") }
            // A file that ends before its size: its bytes show the difference.
            guard count > 0 else { return Array(bytes.prefix(position)) }
            position += count
        }
        return bytes
    }
}
