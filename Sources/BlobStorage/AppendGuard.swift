// What a client says about where its bytes belong.

import BlobCore

/// Where a request's bytes are meant to go. A request without one goes to the end.
public enum AppendGuard: Equatable, Sendable {
    /// `Upload-Offset: N`.
    case offset(Int64)
    /// `Content-Range: bytes A-B/…` or `A-B`: the first and the last byte.
    case range(first: Int64, last: Int64)

    /// Checks the guard of a request against the upload as claimed.
    ///
    /// Without a guard, an offset that moved since the client last heard of it (a dead connection's last bytes arrived
    /// late) is an error, so that no client doubles bytes without being told.
    /// - Parameter length: the number of bytes in the request's body, where announced.
    static func check(_ guarded: AppendGuard?, against upload: Upload, length: Int64?) throws(BlobError) {
        switch guarded {
        case nil:
            guard upload.announced == upload.offset else {
                throw BlobError(.holdsMore, offset: upload.offset)
            }
        case .offset(let offset):
            guard offset == upload.offset else {
                throw BlobError(.offsetMismatch(given: offset), offset: upload.offset)
            }
        case .range(let first, _):
            guard first == upload.offset else {
                throw BlobError(.rangeStartsElsewhere(first: first), offset: upload.offset)
            }
            guard let length, let expected = guarded?.length, expected != length else { return }
            throw BlobError(.lengthMismatch(announced: expected, body: length), offset: upload.offset)
        }
    }

    /// The number of bytes that a range announces; one byte less where that does not fit, which no body has either.
    var length: Int64? {
        guard case .range(let first, let last) = self else { return nil }
        let distance = last - first
        return distance == .max ? distance : distance + 1
    }
}
