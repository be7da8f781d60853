// Values as rows hold them: times as milliseconds, digests as bytes.

import BlobCore
public import BlobStorage
public import Foundation
public import GRDB

extension Timestamp: DatabaseValueConvertible {
    public var databaseValue: DatabaseValue { milliseconds.databaseValue }

    public static func fromDatabaseValue(_ value: DatabaseValue) -> Timestamp? {
        Int64.fromDatabaseValue(value).map(Timestamp.init(milliseconds:))
    }
}

extension BlobDigest {
    var data: Data { Data(bytes) }
}

extension Row: StoredRow {
    public typealias ReadingError = any Error

    public func uuid(_ index: Int) throws -> UUID { try decode(UUID.self, atIndex: index) }
    public func integer(_ index: Int) throws -> Int64 { try decode(Int64.self, atIndex: index) }
    public func optionalInteger(_ index: Int) throws -> Int64? { try decode(Int64?.self, atIndex: index) }
    public func flag(_ index: Int) throws -> Bool { try decode(Int64.self, atIndex: index) != 0 }
    public func text(_ index: Int) throws -> String { try decode(String.self, atIndex: index) }
    public func optionalText(_ index: Int) throws -> String? { try decode(String?.self, atIndex: index) }
    public func bytes(_ index: Int) throws -> [UInt8] { Array(try decode(Data.self, atIndex: index)) }
    public static func damaged(_ table: String) -> any Error { DamagedRow(of: table) }
}

extension Database {
    /// The first row of a SELECT, or of a change with RETURNING.
    func first<Value>(
        _ sql: String, _ arguments: StatementArguments, as decode: (Row) throws -> Value
    ) throws -> Value? {
        let rows = try Row.fetchCursor(cachedStatement(sql: sql), arguments: arguments)
        // A row is a view of its cursor's statement, which is reset when the cursor goes.
        return try withExtendedLifetime(rows) { try rows.next().map(decode) }
    }

    func all<Value>(
        _ sql: String, _ arguments: StatementArguments = [], as decode: (Row) throws -> Value
    ) throws -> [Value] {
        let rows = try Row.fetchCursor(cachedStatement(sql: sql), arguments: arguments)
        var values: [Value] = []
        while let row = try rows.next() { values.append(try decode(row)) }
        return values
    }

    /// Runs a change.
    ///
    /// - Returns: whether it changed anything.
    @discardableResult
    func change(_ sql: String, _ arguments: StatementArguments) throws -> Bool {
        try cachedStatement(sql: sql).execute(arguments: arguments)
        return changesCount > 0
    }
}
