// Bytes to upload and their digests. Always random: blobs are named by their bytes, and tests share a server.

import Crypto
import Foundation

enum Sample {
    static func bytes(_ count: Int) throws -> [UInt8] {
        guard count > 0 else { return [] }
        let random = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom"))
        defer { try? random.close() }
        guard let bytes = try random.read(upToCount: count), bytes.count == count else { throw Failure("/dev/urandom") }
        return Array(bytes)
    }

    /// 64 lower-case hex digits.
    static func digest(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined()
    }

    /// As RFC 9530 writes it.
    static func reprDigest(of bytes: [UInt8]) -> String {
        "sha-256=:" + Data(SHA256.hash(data: bytes)).base64EncodedString() + ":"
    }
}
