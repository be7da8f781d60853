// The identity of an upload.

public import struct Foundation.UUID

/// The identity of an upload: a UUID, lower case on the wire.
public struct UploadID: Hashable, Sendable {
    public let uuid: UUID

    /// Takes over a UUID that is known already, such as one read back from a catalog.
    public init(_ uuid: UUID) {
        self.uuid = uuid
    }

    /// A new random identity.
    public init() {
        uuid = UUID()
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
