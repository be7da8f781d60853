// Reading a blob that a byte store opened, whatever its form.

import BlobStorage
import NIOCore

extension BlobContent {
    /// All bytes. Blocks while it reads a file: for the small blobs of tests.
    func bytes() async throws -> [UInt8] {
        switch self {
        case .buffer(let buffer): return Array(buffer.readableBytesView)
        case .file(let file):
            var buffer = ByteBuffer()
            // A file that ends before its size: its bytes show the difference.
            _ = try file.read(0..<file.size, into: &buffer)
            return Array(buffer.readableBytesView)
        case .remote(let blob):
            guard blob.size > 0 else { return [] }
            let source = try await blob.bytes(of: 0..<blob.size)
            var bytes: [UInt8] = []
            while let buffer = try await source.next() { bytes.append(contentsOf: buffer.readableBytesView) }
            return bytes
        }
    }
}
