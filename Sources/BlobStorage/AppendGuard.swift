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
        let truth = BlobError.Detail.offset(upload.offset)
        switch guarded {
        case nil:
            guard upload.announced == upload.offset else {
                throw BlobError(
                    .rangeInvalid,
                    "The upload holds \(upload.offset) bytes, more than you were told: go on from there.",
                    detail: truth
                )
            }
        case .offset(let offset):
            guard offset == upload.offset else {
                throw BlobError(
                    .offsetMismatch, "The upload's offset is \(upload.offset), not \(offset).", detail: truth
                )
            }
        case .range(let first, _):
            guard first == upload.offset else {
                throw BlobError(
                    .rangeInvalid, "The range begins at \(first), but the upload's offset is \(upload.offset).",
                    detail: truth
                )
            }
            guard let length, let expected = guarded?.length, expected != length else { return }
            throw BlobError.lengthMismatch(expected, body: length, offset: upload.offset)
        }
    }

    /// The number of bytes that a range announces; one byte less where that does not fit, which no body has either.
    var length: Int64? {
        guard case .range(let first, let last) = self else { return nil }
        let distance = last - first
        return distance == .max ? distance : distance + 1
    }
}

extension BlobError {
    /// The range and the body disagree about the number of bytes.
    static func lengthMismatch(_ rangeLength: Int64, body: Int64, offset: Int64) -> BlobError {
        BlobError(
            .lengthMismatch, "The range announces \(rangeLength) bytes, but the body has \(body).",
            detail: .offset(offset)
        )
    }
}
