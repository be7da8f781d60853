// Bytes as text that needs no escapes in URLs and headers.

import Foundation

/// RFC 4648, §5, without padding.
public enum Base64URL {
    public static func text(_ bytes: some Sequence<UInt8>) -> String {
        let base64 = Data(bytes).base64EncodedData().lazy.filter { $0 != UInt8(ascii: "=") }
        return String(decoding: base64.map(withoutEscapes), as: UTF8.self)
    }

    /// - Returns: `nil` for anything that ``text(_:)`` would not have written: several texts would stand for the same
    ///   bytes, and only one of them is meant.
    public static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let padding = repeatElement(UInt8(ascii: "="), count: (4 - text.utf8.count % 4) % 4)
        let base64 = text.utf8.map(plain) + padding
        guard let data = Data(base64Encoded: Data(base64)), self.text(data).utf8.elementsEqual(text.utf8) else {
            return nil
        }
        return Array(data)
    }

    private static func withoutEscapes(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        default: byte
        }
    }

    private static func plain(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "-"): UInt8(ascii: "+")
        case UInt8(ascii: "_"): UInt8(ascii: "/")
        default: byte
        }
    }
}
