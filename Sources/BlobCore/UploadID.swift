// The identity of an upload.

public import struct Foundation.UUID
public import typealias Foundation.uuid_t

/// The identity of an upload: a UUID, lower case on the wire.
public struct UploadID: Hashable, Sendable {
    public let uuid: UUID

    /// Takes over a UUID that is known already, such as one read back from a catalog.
    public init(_ uuid: UUID) {
        self.uuid = uuid
    }

    /// A new random identity.
    public init() {
        // Foundation's own would open /dev/urandom for each.
        var generator = SystemRandomNumberGenerator()
        self.init(using: &generator)
    }

    /// A random identity: a UUID of version 4 (RFC 9562, section 5.4).
    public init(using generator: inout some RandomNumberGenerator) {
        let high: UInt64 = generator.next() & 0xffff_ffff_ffff_0fff | 0x4000
        let low: UInt64 = generator.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        uuid = withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }

    /// Reads the 36-character form in either case; `nil` for anything else.
    public init?(parsing text: some StringProtocol) {
        guard text.utf8.count == 36, let uuid = UUID(uuidString: String(text)) else { return nil }
        self.uuid = uuid
        // Foundation also takes a space or a sign for a digit.
        guard description == text.lowercased() else { return nil }
    }

    /// The 16 bytes.
    public var bytes: [UInt8] {
        withUnsafeBytes(of: uuid.uuid) { Array($0) }
    }
}

extension UploadID: CustomStringConvertible {
    public var description: String { uuid.uuidString.lowercased() }
}
