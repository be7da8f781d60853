// The name of a file, or of a folder on its way, as a server can hold it.

public import BlobCore
public import SystemPackage

/// Names on disks are bytes without `/`; those on a server are UTF-8 of at most 255 bytes without characters that
/// nobody would see (`HiddenCharacter`), and without `\`, before which it would drop everything.
///
/// A name that a server can hold stays as it is. In any other, each byte that does not fit becomes `%XX`, with two
/// hexadecimal digits in upper case (RFC 3986, §2.1), and so does each `%`: decoding the percent signs gives the bytes
/// again. A name that reads as if it had come about that way gets `%25` for its `%`, too, so that no two names become
/// the same.
///
/// A name that is longer than 255 bytes then is cut, and ends with `~` and the first 16 digits of the SHA-256 of the
/// name's bytes.
public struct RemoteName: Equatable, Sendable {
    public let text: String
    /// Whether it is another than the one on the disk.
    public let isChanged: Bool
    /// The first character of the one on the disk that nobody would see.
    public let hidden: HiddenCharacter?

    private static let digestDigitCount = 16

    public init(_ name: FilePath.Component) {
        self.init(bytes: FilePath(root: nil, [name]).bytes)
    }

    init(bytes: [UInt8]) {
        let scalars = Self.scalars(bytes)
        let places = HiddenCharacter.places(in: scalars)
        hidden = places.first.flatMap { scalars[$0] }.map(HiddenCharacter.init(scalar:))
        let text = Self.encoded(bytes, Self.pieces(of: scalars, hiddenAt: places))
        self.text = text.utf8.count <= FileName.maximumByteCount ? text : Self.cut(text, bytes)
        isChanged = !self.text.utf8.elementsEqual(bytes)
    }

    private static func encoded(_ bytes: [UInt8], _ pieces: [Unicode.Scalar?]) -> String {
        if pieces.contains(nil) { return escaped(bytes, pieces) }
        guard let decoded = decoded(bytes), encoded(decoded, Self.pieces(decoded)).utf8.elementsEqual(bytes) else {
            return String(decoding: bytes, as: UTF8.self)
        }
        return escaped(bytes, pieces)
    }

    /// A scalar for each that fits, and `nil` for each byte that does not.
    private static func pieces(_ bytes: [UInt8]) -> [Unicode.Scalar?] {
        let scalars = scalars(bytes)
        return pieces(of: scalars, hiddenAt: HiddenCharacter.places(in: scalars))
    }

    private static func pieces(of scalars: [Unicode.Scalar?], hiddenAt places: [Int]) -> [Unicode.Scalar?] {
        let hidden = Set(places)
        return scalars.enumerated().flatMap { place, scalar -> [Unicode.Scalar?] in
            guard let scalar, scalar == "\\" || hidden.contains(place) else { return [scalar] }
            return Array(repeating: nil, count: UTF8.width(scalar))
        }
    }

    /// The characters, and `nil` for each byte that belongs to none.
    private static func scalars(_ bytes: [UInt8]) -> [Unicode.Scalar?] {
        var (scalars, rest, parser) = ([Unicode.Scalar?](), bytes.makeIterator(), UTF8.ForwardParser())
        while true {
            switch parser.parseScalar(from: &rest) {
            case .emptyInput: return scalars
            case .error(let length): scalars += Array(repeating: nil, count: length)
            case .valid(let units): scalars.append(UTF8.decode(units))
            }
        }
    }

    private static func escaped(_ bytes: [UInt8], _ pieces: [Unicode.Scalar?]) -> String {
        var (text, position) = ("", 0)
        for piece in pieces {
            if let piece, piece != "%" {
                text.unicodeScalars.append(piece)
            } else {
                text += PercentEncoding.triplet(bytes[position])
            }
            position += piece.map { UTF8.width($0) } ?? 1
        }
        return text
    }

    /// `nil` where there is nothing to decode.
    private static func decoded(_ bytes: [UInt8]) -> [UInt8]? {
        var (result, index) = ([UInt8](), 0)
        while index < bytes.count {
            let digits = bytes[index...].dropFirst().prefix(2)
            if bytes[index] == UInt8(ascii: "%"), digits.count == 2, digits.allSatisfy({ isDigit($0) }),
                let byte = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            {
                result.append(byte)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result.count < bytes.count ? result : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "F") ~= byte
    }

    private static func cut(_ text: String, _ bytes: [UInt8]) -> String {
        let digits = BlobDigest(of: bytes).hex.prefix(digestDigitCount)
        var start = Substring.UnicodeScalarView()
        var room = FileName.maximumByteCount - 1 - digestDigitCount
        for scalar in text.unicodeScalars {
            room -= UTF8.width(scalar)
            if room < 0 { break }
            start.append(scalar)
        }
        // A code of which a part was cut off would read as another name's text.
        if let percent = start.suffix(2).lastIndex(of: "%") { start = start[..<percent] }
        // Nor does what is left of an emoji or a word end with a character that shows nothing there.
        while HiddenCharacter.first(in: String(Substring(start)) + "~") != nil { start.removeLast() }
        return String(Substring(start)) + "~" + digits
    }
}

/// The way to a file from a folder on, as a server can hold it: see ``UploadOptions/path``.
public struct RemotePath: Equatable, Sendable {
    /// `nil` where it is longer than the 1,024 bytes that a server takes.
    public let text: String?
    /// Whether one of its names is another than the one on the disk.
    public let isChanged: Bool
    /// The first character of one of those on the disk that nobody would see.
    public let hidden: HiddenCharacter?

    /// - Parameter path: relative, without `.` and `..`.
    public init(_ path: FilePath) {
        let names = path.components.map { RemoteName($0) }
        let text = names.map(\.text).joined(separator: "/")
        self.text = text.utf8.count <= RelativePath.maximumByteCount ? text : nil
        isChanged = names.contains(where: \.isChanged)
        hidden = names.lazy.compactMap(\.hidden).first
    }
}
