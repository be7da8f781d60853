// Where clients find the server, and the paths that answers name.

import BlobCore

/// The URL by which clients reach the server, where somebody told it. Its path goes before those that answers name, and
/// may stand before those of requests.
public struct PublicAddress: Equatable, Sendable {
    /// Without a slash at its end; `nil` where nobody told it.
    public let url: String?
    /// What stands before the API's paths: segments, each with a slash before it; empty for none.
    let path: String

    /// That of a server which nobody told it: its paths begin at the root of whatever host it is asked as.
    public static let untold = PublicAddress()

    private init() {
        (url, path) = (nil, "")
    }

    /// Reads a URL such as `https://pbx.example.com/files`.
    ///
    /// - Returns: `nil` for any other text. The path is one that has one form only: nothing in it could be
    ///   percent-encoded, or not.
    public init?(_ text: String) {
        guard let separator = text.firstRange(of: "://") else { return nil }
        let start = text[separator.upperBound...].firstIndex(of: "/") ?? text.endIndex
        guard let origin = WebOrigin(text[..<start]),
            origin.text.hasPrefix("http://") || origin.text.hasPrefix("https://")
        else { return nil }
        let path = text[start...].last == "/" ? text[start...].dropLast() : text[start...]
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard path.utf8.count <= 1024, path.isEmpty || segments.allSatisfy(Self.isPlain) else { return nil }
        self.path = String(path)
        url = origin.text + path
    }

    private static func isPlain(_ segment: Substring) -> Bool {
        guard !segment.isEmpty, segment != ".", segment != ".." else { return false }
        return segment.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-._~".utf8.contains(byte)
            }
        }
    }

    /// The rest of a request's path behind this one's.
    ///
    /// - Returns: `nil` where it does not begin with this one, byte for byte and segment for segment.
    func rest(of requested: Substring) -> Substring? {
        guard !path.isEmpty, requested.utf8.starts(with: path.utf8) else { return nil }
        let rest = requested.utf8.dropFirst(path.utf8.count)
        return rest.first == UInt8(ascii: "/") ? Substring(rest) : nil
    }

    // MARK: What answers name

    func upload(_ id: UploadID) -> String { "\(path)/api/blobs/uploads/\(id)" }

    func blob(_ digest: BlobDigest) -> String { "\(path)/api/blobs/\(digest.hex)" }
}
