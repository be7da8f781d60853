// Lists of files: pages in an index's order. Their cost does not depend on how many files there are, nor on how many
// come before a cursor, but grows with how many are skipped, and a search looks at every name.

public import BlobCore
public import BlobStorage
import GRDB

/// The SQL of lists. An argument that a statement does not name is not passed.
enum FileLists {
    /// Rows that have expired and were not reclaimed yet. There are few: the reclaimer comes often.
    static let expiredOfAll = "SELECT count(*) FROM files WHERE expires <= :now"
    // The plus keeps SQLite from going through all of the owner's files instead.
    static let expiredOfOwner = "SELECT count(*) FROM files WHERE expires <= :now AND +owner = :owner"

    /// What a list is narrowed to.
    struct Filter: Sendable {
        var owner: Subject?
        var pattern: String?
        /// Set when any row has expired. Without it, what a page skips is skipped in the index alone.
        var now: Timestamp?

        /// - Parameter place: one more condition, on the order's column.
        fileprivate func condition(and place: String? = nil) -> String {
            let terms = [
                owner.map { _ in "owner = :owner" },
                pattern.map { _ in #"(name LIKE :pattern ESCAPE '\' OR path LIKE :pattern ESCAPE '\')"# },
                now.map { _ in FileRows.isLive },
                place,
            ]
            let present = terms.compactMap(\.self)
            return present.isEmpty ? "" : "WHERE " + present.joined(separator: " AND ")
        }

        fileprivate var arguments: [String: (any DatabaseValueConvertible)?] {
            var arguments: [String: (any DatabaseValueConvertible)?] = [:]
            if let owner { arguments["owner"] = owner.name }
            if let pattern { arguments["pattern"] = pattern }
            if let now { arguments["now"] = now }
            return arguments
        }
    }

    static func count(_ filter: Filter) -> String {
        "SELECT count(*) FROM files \(filter.condition())"
    }

    /// - Parameter isContinued: whether it begins after the cursor of another page, `:place` and `:id`.
    static func page(
        _ filter: Filter, by order: FileQuery.Order, isDescending: Bool, isContinued: Bool
    ) -> String {
        let column = order.column
        let direction = isDescending ? "DESC" : "ASC"
        let select = "SELECT \(File.columns) FROM files"
        let ordering = "ORDER BY \(column) \(direction), id \(direction) LIMIT :top"
        guard isContinued else { return "\(select) \(filter.condition()) \(ordering) OFFSET :skip" }
        // Files that are equal in the column first. A comparison of both, `(name, id) > (:place, :id)`, SQLite would
        // look up by the column alone, and go through all files that are equal in it for every page.
        let comparison = isDescending ? "<" : ">"
        return """
            \(select) \(filter.condition(and: "\(column) = :place AND id \(comparison) :id"))
            UNION ALL \(select) \(filter.condition(and: "\(column) \(comparison) :place"))
                \(ordering)
            """
    }
}

extension LocalCatalog {
    public func files(_ query: FileQuery) async throws(BlobError) -> FilePage {
        var filter = FileLists.Filter(owner: query.owner)
        if let search = query.search, !search.isEmpty {
            guard let pattern = FileQuery.pattern(holding: search) else { return FilePage(count: 0, items: []) }
            filter.pattern = pattern
        }
        return try await readSnapshot(isScan: filter.pattern != nil || query.skip > Self.longestQuickSkip) {
            [filter] db, now in
            var filter = filter
            let expired = try Self.expiredFiles(of: filter.owner, at: now, in: db)
            if expired > 0 { filter.now = now }
            let count = try Self.count(filter, expired: expired, in: db)
            let found = try Self.page(of: query, filter, count: count, in: db)
            return FilePage(of: query, count: count, found: found)
        }
    }

    /// Rows that a page may skip among the lookups of others.
    private static let longestQuickSkip: Int64 = 10_000

    private static func expiredFiles(of owner: Subject?, at now: Timestamp, in db: Database) throws -> Int64 {
        let expired =
            if let owner {
                try db.first(FileLists.expiredOfOwner, [now, owner.name]) { try $0.integer(0) }
            } else {
                try db.first(FileLists.expiredOfAll, [now]) { try $0.integer(0) }
            }
        return expired ?? 0
    }

    private static func count(_ filter: FileLists.Filter, expired: Int64, in db: Database) throws -> Int64 {
        guard filter.pattern != nil else { return try UsageRows.files(of: filter.owner, in: db) - expired }
        return try db.first(FileLists.count(filter), StatementArguments(filter.arguments)) { try $0.integer(0) } ?? 0
    }

    private static func page(
        of query: FileQuery, _ filter: FileLists.Filter, count: Int64, in db: Database
    ) throws -> [File] {
        guard query.top > 0, query.skip < count else { return [] }
        var arguments = filter.arguments
        arguments["top"] = query.lookahead
        if let cursor = query.after {
            arguments["place"] = cursor.place.databaseValue
            arguments["id"] = cursor.id.value
        } else {
            arguments["skip"] = max(0, query.skip)
        }
        let sql = FileLists.page(
            filter, by: query.order, isDescending: query.isDescending, isContinued: query.after != nil)
        return try db.all(sql, StatementArguments(arguments), as: { try File(row: $0) })
    }
}

extension FileCursor.Place {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .name(let name): name.text.databaseValue
        case .size(let size): size.databaseValue
        case .created(let time): time.databaseValue
        }
    }
}
