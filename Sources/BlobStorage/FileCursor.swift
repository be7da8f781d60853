// A place in a list of files, which stays where it is whatever comes and goes.

public import BlobCore
import Foundation

/// Where a page ended: the value of its last file that the order compares, and that file's id. Whatever others add and
/// delete, a file that is there throughout is before it or after it, and stays there.
public struct FileCursor: Equatable, Sendable {
    /// What the order compares.
    public enum Place: Equatable, Sendable {
        case name(FileName)
        case size(Int64)
        case created(Timestamp)
    }

    public let place: Place
    public let id: FileID
    public let isDescending: Bool

    public init(place: Place, id: FileID, isDescending: Bool) {
        self.place = place
        self.id = id
        self.isDescending = isDescending
    }

    public init(at file: File, in query: FileQuery) {
        let place: Place =
            switch query.order {
            case .name: .name(file.name)
            case .size: .size(file.size)
            case .created: .created(Timestamp(file.created))
            }
        self.init(place: place, id: file.id, isDescending: query.isDescending)
    }

    public var order: FileQuery.Order {
        switch place {
        case .name: .name
        case .size: .size
        case .created: .created
        }
    }
}

/// The wire form: base64url of a version, the order (1 name, 2 size, 3 time of creation) and 128 for a descending one,
/// the id in 8 bytes, and the place: a name's UTF-8, a number or milliseconds since 1970 in 8 bytes. Big-endian.
extension FileCursor: CustomStringConvertible {
    private static let version: UInt8 = 1
    private static let descending: UInt8 = 128
    private static let numberByteCount = 8
    private static let longestText = (2 + numberByteCount + FileName.maximumByteCount + 2) / 3 * 4

    /// Reads the wire form; `nil` for anything that ``description`` would not have written. A cursor may come from
    /// anybody: it names a place, and gives no right to see anything there.
    public init?(parsing text: String) {
        guard text.utf8.count <= Self.longestText else { return nil }
        guard let bytes = Base64URL.bytes(text), bytes.count > 2 + Self.numberByteCount,
            bytes[0] == Self.version, let id = Self.number(bytes[2..<10]).flatMap(FileID.init(value:)),
            let place = Self.place(bytes[10...], order: bytes[1] & ~Self.descending)
        else { return nil }
        self.init(place: place, id: id, isDescending: bytes[1] & Self.descending != 0)
        guard description == text else { return nil }
    }

    public var description: String {
        let (order, value): (UInt8, [UInt8]) =
            switch place {
            case .name(let name): (1, Array(name.text.utf8))
            case .size(let size): (2, Self.bytes(size))
            case .created(let time): (3, Self.bytes(time.milliseconds))
            }
        let head = [Self.version, order | (isDescending ? Self.descending : 0)]
        return Base64URL.text(head + Self.bytes(id.value) + value)
    }

    private static func place(_ bytes: ArraySlice<UInt8>, order: UInt8) -> Place? {
        switch order {
        case 1:
            // Only what a file can be called: databases refuse some texts, such as those with a NUL.
            return String(validating: bytes, as: UTF8.self).flatMap(FileName.init(toldBefore:)).map(Place.name)
        case 2: return number(bytes).map(Place.size)
        case 3: return number(bytes).map { .created(Timestamp(milliseconds: $0)) }
        default: return nil
        }
    }

    private static func bytes(_ number: Int64) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int64? {
        guard bytes.count == numberByteCount else { return nil }
        return bytes.reduce(0) { $0 << 8 | Int64($1) }
    }
}
