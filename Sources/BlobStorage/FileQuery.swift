// Lists of files: the question, and the page that answers.

public import BlobCore

/// Which files a list shows, and in what order.
public struct FileQuery: Equatable, Sendable {
    public enum Order: String, CaseIterable, Sendable {
        case name, size
        case created = "created_at"
    }

    /// Only this subject's files; `nil` for everybody's.
    public var owner: Subject?
    /// Only files whose name or path holds this text; ASCII letters match in either case.
    public let search: String?
    /// Names by the bytes of their UTF-8. Files that are equal in this come in the order of their ids.
    public let order: Order
    /// The same order backwards, files that are equal included.
    public let isDescending: Bool
    /// How many files to leave out at the beginning.
    public let skip: Int64
    /// Only files that come after this place in the order, whether the file that was there still is or not.
    public let after: FileCursor?
    public let top: Int

    public init(
        owner: Subject? = nil, search: String? = nil, order: Order = .created, isDescending: Bool = false,
        skip: Int64 = 0, top: Int = 100
    ) {
        self.owner = owner
        self.search = search
        self.order = order
        self.isDescending = isDescending
        self.skip = skip
        after = nil
        self.top = top
    }

    /// The page after another one, in its order.
    public init(owner: Subject? = nil, search: String? = nil, after cursor: FileCursor, top: Int = 100) {
        self.owner = owner
        self.search = search
        order = cursor.order
        isDescending = cursor.isDescending
        skip = 0
        after = cursor
        self.top = top
    }

    /// How many files a catalog looks for: one more than a page shows, by which is known whether another page follows.
    public var lookahead: Int { top == .max ? top : max(0, top) + 1 }
}

/// One page of a list.
public struct FilePage: Equatable, Sendable {
    /// How many files match, on this page or not.
    public let count: Int64
    public let items: [File]
    /// Where the next page begins; `nil` when nothing is left.
    public let next: FileCursor?

    public init(count: Int64, items: [File], next: FileCursor? = nil) {
        self.count = count
        self.items = items
        self.next = next
    }

    /// - Parameter found: the files from the page's beginning on, up to ``FileQuery/lookahead``.
    public init(of query: FileQuery, count: Int64, found: some Sequence<File>) {
        let found = Array(found)
        self.count = count
        items = Array(found.prefix(max(0, query.top)))
        next = found.count > items.count ? items.last.map { FileCursor(at: $0, in: query) } : nil
    }
}
