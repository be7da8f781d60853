// Values as rows hold them: times as milliseconds, digests as bytes.

import BlobCore
public import BlobStorage
import Foundation
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

/// Decoding that throws: what a damaged file holds must not stop the process.
extension Row {
    func integer(_ index: Int) throws -> Int64 { try decode(Int64.self, atIndex: index) }
    func flag(_ index: Int) throws -> Bool { try decode(Int64.self, atIndex: index) != 0 }
    func text(_ index: Int) throws -> String { try decode(String.self, atIndex: index) }
    func optionalText(_ index: Int) throws -> String? { try decode(String?.self, atIndex: index) }
    func time(_ index: Int) throws -> Date { Timestamp(milliseconds: try integer(index)).date }

    func optionalTime(_ index: Int) throws -> Date? {
        try decode(Int64?.self, atIndex: index).map { Timestamp(milliseconds: $0).date }
    }

    func condition(_ index: Int) throws -> BlobCondition {
        guard let condition = BlobCondition(rawValue: try integer(index)) else { throw DamagedRow(of: "blobs") }
        return condition
    }

    func digest(_ index: Int) throws -> BlobDigest {
        try withUnsafeData(atIndex: index) { data in
            guard let digest = BlobDigest(bytes: data ?? Data()) else { throw DamagedRow(of: "digests") }
            return digest
        }
    }
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
