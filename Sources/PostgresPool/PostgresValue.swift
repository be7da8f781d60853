// A statement's parameters, in the binary form that the server reads.

public import struct Foundation.UUID

/// A parameter of a statement. A NULL has a type too, so that one statement is prepared once.
public enum PostgresValue: Equatable, Sendable {
    case integer(Int64?)
    case flag(Bool?)
    case text(String?)
    case bytes([UInt8]?)
    case uuid(UUID?)
    case integers([Int64])
    case texts([String])
    case byteStrings([[UInt8]])
    case uuids([UUID])
}

extension PostgresValue {
    /// The number of the type in every server's catalog.
    var type: UInt32 {
        switch self {
        case .integer: PostgresType.integer
        case .flag: PostgresType.flag
        case .text: PostgresType.text
        case .bytes: PostgresType.bytes
        case .uuid: PostgresType.uuid
        case .integers: PostgresType.integers
        case .texts: PostgresType.texts
        case .byteStrings: PostgresType.byteStrings
        case .uuids: PostgresType.uuids
        }
    }

    /// Appends the value's bytes.
    ///
    /// - Returns: `false` when it is NULL, which has none.
    fileprivate func encode(into bytes: inout [UInt8]) -> Bool {
        switch self {
        case .integer(nil), .flag(nil), .text(nil), .bytes(nil), .uuid(nil): return false
        case .integer(let value?): bytes.append(bigEndian: value)
        case .flag(let value?): bytes.append(value ? 1 : 0)
        case .text(let value?): bytes.append(contentsOf: value.utf8)
        case .bytes(let value?): bytes.append(contentsOf: value)
        case .uuid(let value?): withUnsafeBytes(of: value.uuid) { bytes.append(contentsOf: $0) }
        case .integers(let values):
            bytes.append(array: values, of: PostgresType.integer, count: { _ in 8 }) { $0.append(bigEndian: $1) }
        case .texts(let values):
            bytes.append(array: values, of: PostgresType.text, count: \.utf8.count) { $0.append(contentsOf: $1.utf8) }
        case .byteStrings(let values):
            bytes.append(array: values, of: PostgresType.bytes, count: \.count) { $0.append(contentsOf: $1) }
        case .uuids(let values):
            bytes.append(array: values, of: PostgresType.uuid, count: { _ in 16 }) { bytes, value in
                withUnsafeBytes(of: value.uuid) { bytes.append(contentsOf: $0) }
            }
        }
        return true
    }
}

/// Types that values are sent and read as.
enum PostgresType {
    static let flag: UInt32 = 16
    static let bytes: UInt32 = 17
    static let integer: UInt32 = 20
    static let smallInteger: UInt32 = 21
    static let mediumInteger: UInt32 = 23
    static let text: UInt32 = 25
    static let byteStrings: UInt32 = 1001
    static let texts: UInt32 = 1009
    static let integers: UInt32 = 1016
    static let uuid: UInt32 = 2950
    static let uuids: UInt32 = 2951
}

/// The parameters of one statement, one behind the other.
struct EncodedParameters: Sendable {
    private(set) var bytes: [UInt8] = []
    /// Where each is; `nil` for NULL.
    private(set) var ranges: [Range<Int>?] = []
    let types: [UInt32]

    init(_ values: [PostgresValue]) {
        types = values.map(\.type)
        ranges.reserveCapacity(values.count)
        for value in values {
            let start = bytes.count
            ranges.append(value.encode(into: &bytes) ? start..<bytes.count : nil)
        }
        // So that an empty value has an address too: none would mean NULL.
        bytes.append(0)
    }
}

extension [UInt8] {
    fileprivate mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// One dimension, no NULLs.
    fileprivate mutating func append<Value>(
        array values: [Value], of type: UInt32, count: (Value) -> Int, element: (inout [UInt8], Value) -> Void
    ) {
        append(bigEndian: Int32(values.isEmpty ? 0 : 1))
        append(bigEndian: Int32(0))
        append(bigEndian: type)
        if values.isEmpty { return }
        append(bigEndian: Int32(clamping: values.count))
        append(bigEndian: Int32(1))
        for value in values {
            append(bigEndian: Int32(clamping: count(value)))
            element(&self, value)
        }
    }
}
