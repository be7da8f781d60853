// Lists of files: pages in an index's order. Their cost does not depend on how many files there are, nor on how many
// come before a cursor, but grows with how many are skipped, and a search looks at every name.

public import BlobCore
public import BlobStorage
import PostgresPool

/// The SQL of lists. The count and the page are of one moment, and so one statement.
enum FileLists {
    /// The conditions of a list.
    struct Filter: Sendable {
        var hasOwner = false
        var hasPattern = false
    }

    /// A page's rows are looked up one by one (`OFFSET 0`), however cheap reading all of a small table may seem. A
    /// search looks for files once, for the count and for the page: in the page's order, a rare name would be sought
    /// through the whole table, row by row.
    ///
    /// Its parameters: the time, the rows to show, the rows to skip, the owner, the pattern. One that is not asked for
    /// is still passed, as NULL. After the cursor of another page, two more: the value of that cursor's file that the
    /// order compares, and its id.
    static func page(
        _ filter: Filter, by order: FileQuery.Order, isDescending: Bool, isContinued: Bool
    ) -> String {
        let column = order.column
        let direction = isDescending ? "DESC" : "ASC"
        let start = isContinued ? "WHERE (place, page_id) \(isDescending ? "<" : ">") ($6, $7)" : ""
        let files = "SELECT id AS page_id, \(column) AS place FROM files WHERE \(condition(filter))"
        return """
            WITH moment AS MATERIALIZED
                (SELECT coalesce($1, now_ms()) AS now, $4::TEXT AS owner, lower($5 COLLATE "C") AS pattern)
                \(filter.hasPattern ? ", found AS MATERIALIZED (\(files))" : "")
            SELECT (\(count(filter)))::BIGINT, file.*
                FROM moment LEFT JOIN (
                    SELECT shown.* FROM (
                        SELECT page_id FROM \(filter.hasPattern ? "found" : "(\(files)) AS listed")
                            \(start)
                            ORDER BY place \(direction), page_id \(direction) LIMIT $2 OFFSET $3
                    ) AS page
                    CROSS JOIN LATERAL (SELECT \(File.columns) FROM files WHERE id = page_id OFFSET 0) AS shown
                ) AS file ON true
                ORDER BY \(column) \(direction), id \(direction)
            """
    }

    private static func condition(_ filter: Filter) -> String {
        let terms = [
            "(expires IS NULL OR expires > (SELECT now FROM moment))",
            filter.hasOwner ? "owner = $4" : nil,
            // In this collation, only ASCII letters have another case.
            filter.hasPattern ? "(\(holdsPattern("name")) OR \(holdsPattern("path")))" : nil,
        ]
        return terms.compactMap(\.self).joined(separator: " AND ")
    }

    private static func holdsPattern(_ column: String) -> String {
        #"lower(\#(column)) LIKE (SELECT pattern FROM moment) ESCAPE '\'"#
    }

    /// Without a search, from the counters. Rows that have expired and were not reclaimed yet are few: the reclaimer
    /// comes often. They are found first, whoever's they are: a plan that is kept for all owners would rather go
    /// through one owner's files, which it takes for few.
    private static func count(_ filter: Filter) -> String {
        if filter.hasPattern { return "SELECT count(*) FROM found" }
        let counter = filter.hasOwner ? "usage WHERE owner = $4" : "totals"
        return """
            SELECT (SELECT coalesce(sum(files), 0) FROM \(counter))
                - (SELECT count(*) FROM (
                    SELECT owner AS whose FROM files WHERE expires <= coalesce($1, now_ms()) ORDER BY expires OFFSET 0
                ) AS expired\(filter.hasOwner ? " WHERE whose = $4" : ""))
            """
    }
}

extension CloudCatalog {
    /// How long a search may take that looks at every name, or a page far from the first.
    private static let scanTimeout = Duration.seconds(60)

    public func files(_ query: FileQuery) async throws(BlobError) -> FilePage {
        var filter = FileLists.Filter(hasOwner: query.owner != nil)
        var pattern: String?
        if let search = query.search, !search.isEmpty {
            pattern = FileQuery.pattern(holding: search)
            guard pattern != nil else { return FilePage(count: 0, items: []) }
            filter.hasPattern = true
        }
        var parameters: [PostgresValue] = [
            database.now, .limit(query.lookahead), .integer(max(0, query.skip)), .text(query.owner?.name),
            .text(pattern),
        ]
        if let cursor = query.after { parameters += [cursor.place.value, .integer(cursor.id.value)] }
        let rows = try await database.rows(
            FileLists.page(
                filter, by: query.order, isDescending: query.isDescending, isContinued: query.after != nil),
            parameters, timeout: Self.scanTimeout
        ) { row throws(PostgresError) in
            (
                count: try row.integer(0),
                file: try row.optionalInteger(1) == nil ? nil : try File(row: row, from: 1)
            )
        }
        return FilePage(of: query, count: rows.first?.count ?? 0, found: rows.compactMap(\.file))
    }
}

extension FileCursor.Place {
    fileprivate var value: PostgresValue {
        switch self {
        case .name(let name): .text(name.text)
        case .size(let size): .integer(size)
        case .created(let time): .integer(time.milliseconds)
        }
    }
}
