// A row of a result, and reading it without trusting it.

public import struct Foundation.UUID
public import typealias Foundation.uuid_t

/// A row. Its columns are read by their index; reading one that is not there, or of another type, throws
/// ``PostgresError/Kind/unexpectedValue``.
public struct PostgresRow: Sendable {
    let types: [UInt32]
    let cells: [[UInt8]?]

    public func optionalInteger(_ index: Int) throws(PostgresError) -> Int64? {
        let types = [PostgresType.integer, PostgresType.mediumInteger, PostgresType.smallInteger]
        guard let bytes = try cell(index, of: types) else { return nil }
        switch bytes.count {
        case 8: return Int64(truncatingIfNeeded: Self.number(bytes))
        case 4: return Int64(Int32(truncatingIfNeeded: Self.number(bytes)))
        case 2: return Int64(Int16(truncatingIfNeeded: Self.number(bytes)))
        default: throw unexpected(index)
        }
    }

    public func optionalFlag(_ index: Int) throws(PostgresError) -> Bool? {
        guard let bytes = try cell(index, of: [PostgresType.flag]) else { return nil }
        guard bytes.count == 1 else { throw unexpected(index) }
        return bytes[0] != 0
    }

    /// A text, or the text form of a type that has no other here.
    public func optionalText(_ index: Int) throws(PostgresError) -> String? {
        guard let bytes = try cell(index, of: nil) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw unexpected(index) }
        return text
    }

    public func optionalBytes(_ index: Int) throws(PostgresError) -> [UInt8]? {
        try cell(index, of: [PostgresType.bytes])
    }

    public func integer(_ index: Int) throws(PostgresError) -> Int64 { try present(index, optionalInteger(index)) }
    public func flag(_ index: Int) throws(PostgresError) -> Bool { try present(index, optionalFlag(index)) }
    public func text(_ index: Int) throws(PostgresError) -> String { try present(index, optionalText(index)) }
    public func bytes(_ index: Int) throws(PostgresError) -> [UInt8] { try present(index, optionalBytes(index)) }

    public func optionalUUID(_ index: Int) throws(PostgresError) -> UUID? {
        guard let bytes = try cell(index, of: [PostgresType.uuid]) else { return nil }
        guard bytes.count == 16 else { throw unexpected(index) }
        return bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }

    public func uuid(_ index: Int) throws(PostgresError) -> UUID { try present(index, optionalUUID(index)) }

    private func cell(_ index: Int, of wanted: [UInt32]?) throws(PostgresError) -> [UInt8]? {
        guard cells.indices.contains(index), wanted?.contains(types[index]) ?? true else { throw unexpected(index) }
        return cells[index]
    }

    private func present<Value>(_ index: Int, _ value: Value?) throws(PostgresError) -> Value {
        guard let value else { throw unexpected(index) }
        return value
    }

    private func unexpected(_ index: Int) -> PostgresError {
        PostgresError(.unexpectedValue, "Column \(index) does not hold what was asked for.")
    }

    private static func number(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
