// What the bytes of a digest consist of.

import BlobCore
import Foundation
import PostgresPool

/// One object, or a part of it, as a stretch of a blob's bytes.
struct Piece: Equatable, Sendable {
    let object: ObjectKey
    /// Within the object.
    let range: Range<Int64>
    /// Of the whole object, in bytes.
    let objectSize: Int64
    /// Of the object that was stored; `nil` where nobody kept it.
    let eTag: String?

    var key: String { object.text }
    var name: String { object.name }

    /// In bytes.
    var byteCount: Int64 { range.upperBound - range.lowerBound }

    /// `nil` for the whole object.
    var requestedRange: Range<Int64>? { byteCount == objectSize ? nil : range }
}

/// The objects that hold the bytes of a digest, in their order.
public struct StoredContent: Equatable, Sendable {
    let id: Int64
    let upload: UUID
    let size: Int64
    let pieces: [Piece]

    /// The parts of objects that hold a range.
    func pieces(in range: Range<Int64>) -> [Piece] {
        var start: Int64 = 0
        var found: [Piece] = []
        for piece in pieces {
            let whole = start..<start + piece.objectSize
            start = whole.upperBound
            let part = whole.clamped(to: range)
            guard !part.isEmpty else { continue }
            found.append(
                Piece(
                    object: piece.object,
                    range: part.lowerBound - whole.lowerBound..<part.upperBound - whole.lowerBound,
                    objectSize: piece.objectSize, eTag: piece.eTag
                )
            )
        }
        return found
    }
}

/// One row of a content joined with its pieces; a content without bytes has a row without a piece.
struct ContentRow {
    let id: Int64
    let upload: UUID
    let size: Int64
    let piece: (start: Int64, size: Int64, name: String, eTag: String?)?

    /// - Parameter first: the column of the id, which the others follow.
    init(_ row: PostgresRow, from first: Int = 0) throws(PostgresError) {
        id = try row.integer(first)
        upload = try row.uuid(first + 1)
        size = try row.integer(first + 2)
        guard let start = try row.optionalInteger(first + 3) else {
            piece = nil
            return
        }
        piece = (start, try row.integer(first + 4), try row.text(first + 5), try row.optionalText(first + 6))
    }
}

extension StoredContent {
    /// - Throws: when the pieces are not the whole, in order.
    init?(_ rows: [ContentRow]) throws(PostgresError) {
        guard let first = rows.first else { return nil }
        var end: Int64 = 0
        var pieces: [Piece] = []
        for case let piece? in rows.map(\.piece) {
            let (next, overflow) = end.addingReportingOverflow(piece.size)
            guard piece.start == end, piece.size > 0, !overflow else { throw .damagedRow(of: "pieces") }
            let object = ObjectKey(upload: first.upload, name: piece.name)
            pieces.append(Piece(object: object, range: 0..<piece.size, objectSize: piece.size, eTag: piece.eTag))
            end = next
        }
        guard end == first.size else { throw .damagedRow(of: "pieces") }
        self.init(id: first.id, upload: first.upload, size: first.size, pieces: pieces)
    }
}

/// The key of an object: `segments/<upload>/<name>`.
struct ObjectKey: Hashable, Sendable {
    static let prefix = "segments/"

    let upload: UUID
    let name: String

    var text: String { Self.prefix + upload.uuidString.lowercased() + "/" + name }

    init(upload: UUID, name: String) {
        self.upload = upload
        self.name = name
    }

    /// `nil` for a key that no node of this program makes.
    init?(parsing text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let upload = UUID(uuidString: String(parts[0])), !parts[1].isEmpty else { return nil }
        self.init(upload: upload, name: String(parts[1]))
        guard self.text == text else { return nil }
    }
}

extension ObjectKey {
    /// A row of an upload and a name.
    init(row: PostgresRow) throws(PostgresError) {
        self.init(upload: try row.uuid(0), name: try row.text(1))
    }
}
