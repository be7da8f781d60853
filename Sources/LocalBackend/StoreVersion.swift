// Which store a catalog is of, and of which time: this tells its own backup from everything else.

public import BlobCore
import BlobStorage
import Foundation
import GRDB
import Glibc
import SystemPackage

/// A store: everything that one data directory has been since its first start. A restored one is another store, because
/// both may be served from then on.
public struct StoreIdentity: Hashable, Sendable, CustomStringConvertible {
    let uuid: UUID

    init() { uuid = UUID() }

    init?(parsing text: String) {
        guard let uuid = UUID(uuidString: text), text == uuid.uuidString.lowercased() else { return nil }
        self.uuid = uuid
    }

    init?(bytes: Data) {
        guard bytes.count == MemoryLayout<uuid_t>.size else { return nil }
        uuid = bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }

    public var bytes: [UInt8] { withUnsafeBytes(of: uuid.uuid, Array.init) }

    public var description: String { uuid.uuidString.lowercased() }
}

/// A store at one time, as its catalog keeps it in rows of `meta`.
public struct StoreVersion: Equatable, Sendable, CustomStringConvertible {
    public let identity: StoreIdentity
    /// Raised by every start of `blobd serve`, and by nothing else: of two copies of a store, the one that was served
    /// later has the higher one.
    public let generation: Int64
    /// The store whose backup this one was made of.
    let origin: StoreIdentity?

    public var description: String { "store \(identity), generation \(generation)" }

    private enum Name {
        static let identity = "identity"
        static let generation = "generation"
        static let origin = "restored-from"
    }

    private static let insertMissing = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
    private static let put = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"

    /// - Returns: `nil` when no version of this program that knows of identities has served the catalog.
    init?(of db: Database) throws {
        func value(_ name: String) throws -> Data? {
            try db.first("SELECT value FROM meta WHERE name = ?", [name]) { try $0.decode(Data.self, atIndex: 0) }
        }
        guard let held = try value(Name.identity) else { return nil }
        guard let identity = StoreIdentity(bytes: held) else { throw DamagedRow(of: "meta") }
        self.identity = identity
        let generation = try value(Name.generation) ?? Data()
        self.generation = generation.reduce(0) { $0 << 8 | Int64($1) }
        origin = try value(Name.origin).flatMap(StoreIdentity.init(bytes:))
    }

    /// The version of a catalog that is to have one.
    static func made(in db: Database) throws -> StoreVersion {
        if let version = try StoreVersion(of: db) { return version }
        try db.change(insertMissing, [Name.identity, Data(StoreIdentity().bytes)])
        guard let version = try StoreVersion(of: db) else { throw DamagedRow(of: "meta") }
        return version
    }

    /// Another start of `blobd serve`.
    static func raise(in db: Database) throws {
        let next = try made(in: db).generation + 1
        try db.change(put, [Name.generation, withUnsafeBytes(of: next.bigEndian) { Data($0) }])
    }

    /// Makes a catalog that comes from a backup that of a store of its own.
    static func beginAnew(in db: Database) throws {
        let origin = try StoreVersion(of: db)?.identity
        try db.change("DELETE FROM meta WHERE name IN (?, ?)", [Name.generation, Name.origin])
        try db.change(put, [Name.identity, Data(StoreIdentity().bytes)])
        if let origin { try db.change(put, [Name.origin, Data(origin.bytes)]) }
    }
}

extension StoreVersion {
    /// The version in the catalog of a backup; `nil` where there is none.
    init?(inBackup path: FilePath) throws(OperatorError) {
        let catalog = DataDirectory.catalog(in: path)
        guard access(catalog.string, F_OK) == 0 else { return nil }
        do {
            let rows = try LocalBackup.queue(catalog, isReadOnly: true)
            defer { try? rows.close() }
            guard let version = try rows.read({ try StoreVersion(of: $0) }) else { return nil }
            self = version
        } catch {
            throw OperatorError("the catalog of the backup \(path) cannot be read: choose another directory")
        }
    }

    /// The version in the catalog of a data directory that may belong to anybody, read without making files beside it;
    /// `nil` where that cannot be told.
    init?(peekingInto path: FilePath) {
        // https://sqlite.org/uri.html: the path must not look like a query, and no log is made or read.
        let catalog = PercentEncoding.path(DataDirectory.catalog(in: path).string)
        guard let rows = try? LocalBackup.queue(FilePath("file:\(catalog)?immutable=1"), isReadOnly: true) else {
            return nil
        }
        defer { try? rows.close() }
        guard let version = try? rows.read({ try StoreVersion(of: $0) }) else { return nil }
        self = version
    }
}

extension LocalCatalog {
    /// Which store this is, and of which time.
    public func version() async throws(BlobError) -> StoreVersion {
        try await write { db, _ in try StoreVersion.made(in: db) }
    }
}
