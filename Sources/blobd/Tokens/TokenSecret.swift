// The secret that a caller shows to be let in.

import BlobCore
import Foundation

/// The text of a token: `blobd_` and 43 characters of base64url, which are 32 random bytes.
///
/// It is shown once, where it is made; the server keeps its ``digest`` only. It does not describe itself, so that no
/// log or message can hold it by accident.
struct TokenSecret: Equatable, Sendable {
    /// What every token begins with, so that people and scanners know one when they see it.
    static let prefix = "blobd_"

    let text: String

    /// A new secret of the system's random number generator.
    init() {
        var generator = SystemRandomNumberGenerator()
        self.init(
            bytes: (0..<4).flatMap { _ in
                withUnsafeBytes(of: generator.next() as UInt64) { Array($0) }
            })
    }

    private init(bytes: [UInt8]) {
        text = Self.prefix + Base64URL.text(bytes)
    }

    /// Reads a secret; `nil` for anything that is none.
    init?(parsing text: String) {
        guard text.hasPrefix(Self.prefix), let bytes = Base64URL.bytes(text.dropFirst(Self.prefix.count)),
            bytes.count == 32
        else { return nil }
        self.init(bytes: bytes)
    }

    /// The SHA-256 of the whole text, which a catalog keeps.
    var digest: BlobDigest { BlobDigest(of: text.utf8) }
}

extension TokenSecret: CustomStringConvertible, CustomReflectable {
    var description: String { Self.prefix + "…" }

    var customMirror: Mirror { Mirror(self, children: []) }
}
