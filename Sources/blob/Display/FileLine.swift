// A file on the server as one line of a list.

import BlobClient
import Foundation
import Program

enum FileLine {
    /// As many digits of a digest as tell the blobs of most people apart, and as other commands take for it.
    private static let shortDigest = 12

    /// Id, short digest, size, time of upload, and name: columns of fixed widths, since page after page is printed as
    /// it comes.
    ///
    /// - Parameter owner: the owner to show; `nil` for a file of the caller's.
    static func short(_ file: StoredFile, owner: String? = nil) -> String {
        columns([
            (file.id ?? "-", 28), (file.digest.map { String($0.prefix(shortDigest)) } ?? "-", shortDigest),
            (file.size.map(sizeText) ?? "-", -10), (file.createdAt?.formatted(.iso8601) ?? "-", 20),
        ]) + DisplayText.safe(file.name ?? "-") + (owner.map { "  (of \(DisplayText.safe($0)))" } ?? "")
    }

    /// Id, digest, bytes, time of upload, time when it goes by itself, media type, owner, and path or name; `-` for
    /// values that the server does not tell.
    static func long(_ file: StoredFile) -> String {
        columns([
            (file.id ?? "-", 28), (file.digest ?? "-", 64), (file.size.map { "\($0)" } ?? "-", -15),
            (file.createdAt?.formatted(.iso8601) ?? "-", 20), (file.expiresAt?.formatted(.iso8601) ?? "-", 20),
            (file.mediaType ?? "-", 24), (file.owner ?? "-", 12),
        ]) + DisplayText.safe(file.path ?? file.name ?? "-")
    }

    /// A server may have told anything. A negative width is that of a column whose text stands at its right.
    private static func columns(_ cells: [(text: String, width: Int)]) -> String {
        cells.map { text, width in
            let text = DisplayText.safe(text)
            let filling = String(repeating: " ", count: max(0, abs(width) - DisplayText.width(text)))
            return (width < 0 ? filling + text : text + filling) + "  "
        }.joined()
    }
}
