// The chunked transfer coding.

import BlobCore
import HTTPTypes

/// A body of chunks on its way in (RFC 9112 §7.1).
///
/// What carries no bytes of the body is bounded: extensions to 1 KiB in all, and trailers to 8 KiB.
struct ChunkedBody {
    private enum State {
        case size(Int64, digits: Int)
        /// What follows the size, to the end of its line.
        case afterSize(Int64, Trailing)
        case lineFeedAfterSize(Int64)
        case data(left: Int64)
        case carriageReturnAfterData
        case lineFeedAfterData
        case trailers
        case complete
    }

    private enum Trailing {
        case nothing
        /// Blanks, which belong to an extension that has to follow.
        case blanks
        case extensions
    }

    private static let mostExtensionBytes = 1024
    private static let mostTrailerBytes = 8 * 1024
    /// Of them, each is four bits: more make a number that does not fit.
    private static let mostDigits = 15

    private var state = State.size(0, digits: 0)
    private var extensionBytes = 0
    private var trailerBytes: [UInt8] = []

    var isComplete: Bool { if case .complete = state { true } else { false } }

    /// The next bytes of the body.
    ///
    /// - Parameter position: where to go on in the bytes; moved behind what was taken.
    /// - Returns: where they are; `nil` when the body is complete or more bytes have to come.
    mutating func next(in bytes: borrowing Span<UInt8>, at position: inout Int) throws(Refusal) -> Range<Int>? {
        while position < bytes.count, !isComplete {
            if case .data(let left) = state {
                let count = Int(min(left, Int64(bytes.count - position)))
                state = Int64(count) == left ? .carriageReturnAfterData : .data(left: left - Int64(count))
                defer { position += count }
                return position..<position + count
            }
            try step(bytes[position])
            position += 1
        }
        return nil
    }

    private mutating func step(_ byte: UInt8) throws(Refusal) {
        switch (state, byte) {
        case (.size(let size, let digits), _):
            if let digit = byte.hexDigitValue {
                guard digits < Self.mostDigits else { throw .malformed("a chunk's size does not fit") }
                state = .size(size << 4 | Int64(digit), digits: digits + 1)
            } else {
                guard digits > 0 else { throw .malformed("a chunk does not begin with its size") }
                state = .afterSize(size, .nothing)
                try step(byte)
            }
        case (.afterSize(let size, let trailing), .carriageReturn) where trailing != .blanks:
            state = .lineFeedAfterSize(size)
        case (.afterSize(let size, let trailing), _):
            state = .afterSize(size, try self.trailing(byte, behind: trailing))
        case (.lineFeedAfterSize(let size), .lineFeed): state = size > 0 ? .data(left: size) : .trailers
        case (.carriageReturnAfterData, .carriageReturn): state = .lineFeedAfterData
        case (.lineFeedAfterData, .lineFeed): state = .size(0, digits: 0)
        case (.trailers, _): try addTrailer(byte)
        default: throw .malformed("a chunk does not end where its size says")
        }
    }

    private mutating func trailing(_ byte: UInt8, behind before: Trailing) throws(Refusal) -> Trailing {
        extensionBytes += 1
        guard extensionBytes <= Self.mostExtensionBytes else {
            throw .malformed("its chunk extensions are longer than \(Self.mostExtensionBytes) bytes")
        }
        if before == .extensions ? byte.isInFieldValue : byte == UInt8(ascii: ";") { return .extensions }
        guard before != .extensions, byte.isBlank else {
            throw .malformed("a chunk's size is not followed by the end of its line")
        }
        return .blanks
    }

    private mutating func addTrailer(_ byte: UInt8) throws(Refusal) {
        trailerBytes.append(byte)
        guard trailerBytes.count <= Self.mostTrailerBytes else { throw .headersTooLarge }
        guard byte == .lineFeed else { return }
        guard trailerBytes.dropLast().last == .carriageReturn else {
            throw .malformed("a line behind its last chunk ends without CR")
        }
        if trailerBytes.count == 2 || trailerBytes.suffix(4).elementsEqual("\r\n\r\n".utf8) { state = .complete }
    }

    /// The fields behind the last chunk (RFC 9112 §7.1.2); `nil` where there are none.
    func trailers() throws(Refusal) -> HTTPFields? {
        guard trailerBytes.count > 2 else { return nil }
        var lines = HeadLines()
        return try FieldLines(parsing: trailerBytes.span, &lines).fields
    }
}
