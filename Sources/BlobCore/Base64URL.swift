// Bytes as text that needs no escapes in URLs and headers.

import Foundation

/// RFC 4648, §5, without padding.
public enum Base64URL {
    public static func text(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// - Returns: `nil` for anything that ``text(_:)`` would not have written: several texts would stand for the same
    ///   bytes, and only one of them is meant.
    public static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
        let padding = String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: base64 + padding), self.text(data) == text else { return nil }
        return Array(data)
    }
}
