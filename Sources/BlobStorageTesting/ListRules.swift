// The rules of a catalog's list of files.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about listing files.
public enum ListRule: String, CaseIterable, Sendable {
    /// An empty catalog lists nothing.
    case emptyListIsEmpty
    /// Each order sorts by its field: names by the bytes of their UTF-8, sizes and times as numbers.
    case ordersSortByTheirField
    /// Descending turns each order around.
    case descendingTurnsTheOrderAround
    /// Files that are equal in the order's field come in the order of their ids, in both directions.
    case equalFilesComeInTheOrderOfTheirIDs
    /// Skip and top cut pages that together show every file once, and the count stays that of all.
    case pagesShowEveryFileOnce
    /// A page past the end is empty and tells the count.
    case pagePastTheEndIsEmpty
    /// Search finds a text anywhere in the name.
    case searchFindsTextAnywhereInTheName
    /// Search finds a text anywhere in the path as well; a name is no part of it.
    case searchFindsTextInThePathToo
    /// Search finds ASCII letters in either case, and all else exactly.
    case searchFoldsASCIILettersOnly
    /// The wildcards of SQL and of shells mean themselves in a search.
    case searchTakesWildcardsLiterally
    /// An empty search finds every file.
    case emptySearchFindsEverything
    /// An owner sees their own files and their count only; no owner sees everybody's.
    case ownerSeesTheirFilesOnly
    /// Owner, search, order and page work together.
    case filtersWorkTogether
    /// Expired and destroyed files are neither listed nor counted.
    case goneFilesAreNotListed

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .emptyListIsEmpty: try await trial.emptyListIsEmpty()
        case .ordersSortByTheirField: try await trial.ordersSortByTheirField()
        case .descendingTurnsTheOrderAround: try await trial.descendingTurnsTheOrderAround()
        case .equalFilesComeInTheOrderOfTheirIDs: try await trial.equalFilesComeInTheOrderOfTheirIDs()
        case .pagesShowEveryFileOnce: try await trial.pagesShowEveryFileOnce()
        case .pagePastTheEndIsEmpty: try await trial.pagePastTheEndIsEmpty()
        case .searchFindsTextAnywhereInTheName: try await trial.searchFindsTextAnywhereInTheName()
        case .searchFindsTextInThePathToo: try await trial.searchFindsTextInThePathToo()
        case .searchFoldsASCIILettersOnly: try await trial.searchFoldsASCIILettersOnly()
        case .searchTakesWildcardsLiterally: try await trial.searchTakesWildcardsLiterally()
        case .emptySearchFindsEverything: try await trial.emptySearchFindsEverything()
        case .ownerSeesTheirFilesOnly: try await trial.ownerSeesTheirFilesOnly()
        case .filtersWorkTogether: try await trial.filtersWorkTogether()
        case .goneFilesAreNotListed: try await trial.goneFilesAreNotListed()
        }
    }
}

extension CatalogTrial {
    /// The names of the files that a query shows, and its count.
    private func list(_ query: FileQuery) async throws -> (names: [String], count: Int64) {
        let page = try await catalog.files(query)
        return (page.items.map(\.name.text), page.count)
    }

    private func found(_ search: String?) async throws -> [String] {
        let (names, count) = try await list(FileQuery(search: search))
        #expect(count == Int64(names.count))
        return names
    }

    /// Files that each field sorts differently. Some names are sorted differently by Unicode's rules, or in UTF-16,
    /// than by their bytes.
    private func addZoo() async throws {
        let sizes = [
            ("b", 300), ("\u{212B}", 8), ("é", 20), ("🧾", 4), ("B", 1000), ("a", 3), ("e\u{301}", 100), ("Ω", 5),
            ("Ａ", 6),
            ("10", 7),
        ]
        for (name, size) in sizes {
            clock.advance(by: .seconds(1))
            _ = try await add(String(repeating: "x", count: size), named: name)
        }
    }

    private static let zoo: [FileQuery.Order: [String]] = [
        .name: ["10", "B", "a", "b", "e\u{301}", "é", "Ω", "\u{212B}", "Ａ", "🧾"],
        .size: ["a", "🧾", "Ω", "Ａ", "10", "\u{212B}", "é", "e\u{301}", "b", "B"],
        .created: ["b", "\u{212B}", "é", "🧾", "B", "a", "e\u{301}", "Ω", "Ａ", "10"],
    ]

    /// Expects names in an order, byte for byte: `==` of strings would take two spellings of a letter as equal.
    private func expect(
        _ names: [String], toBe expected: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(names.map { Array($0.utf8) } == expected.map { Array($0.utf8) }, sourceLocation: sourceLocation)
    }

    fileprivate func emptyListIsEmpty() async throws {
        #expect(try await catalog.files(FileQuery()) == FilePage(count: 0, items: []))
        #expect(try await catalog.files(FileQuery(owner: .ann, search: "x")) == FilePage(count: 0, items: []))
    }

    fileprivate func ordersSortByTheirField() async throws {
        try await addZoo()
        for order in FileQuery.Order.allCases {
            let (names, count) = try await list(FileQuery(order: order))
            expect(names, toBe: try #require(Self.zoo[order]))
            #expect(count == Int64(names.count))
        }
    }

    fileprivate func descendingTurnsTheOrderAround() async throws {
        try await addZoo()
        for order in FileQuery.Order.allCases {
            let (names, _) = try await list(FileQuery(order: order, isDescending: true))
            expect(names, toBe: try #require(Self.zoo[order]).reversed())
        }
    }

    fileprivate func equalFilesComeInTheOrderOfTheirIDs() async throws {
        var files: [File] = []
        for _ in 0..<5 { files.append(try await add("text")) }
        for order in FileQuery.Order.allCases {
            for isDescending in [false, true] {
                let page = try await catalog.files(FileQuery(order: order, isDescending: isDescending))
                #expect(
                    page.items == (isDescending ? files.reversed() : files), "by \(order), descending: \(isDescending)")
            }
        }
    }

    fileprivate func pagesShowEveryFileOnce() async throws {
        var files: [File] = []
        for number in 0..<10 { files.append(try await add("text \(number / 4)", named: "file \(number / 3)")) }
        for order in FileQuery.Order.allCases {
            for top in [1, 3, 10, 100] {
                var items: [File] = []
                while true {
                    let page = try await catalog.files(FileQuery(order: order, skip: Int64(items.count), top: top))
                    #expect(page.count == 10)
                    #expect(page.items.count == min(top, 10 - items.count))
                    guard !page.items.isEmpty else { break }
                    items += page.items
                }
                #expect(items == files, "by \(order), \(top) at a time")
            }
        }
    }

    fileprivate func pagePastTheEndIsEmpty() async throws {
        _ = try await add("text")
        for skip in [1, 2, 1_000_000, Int64.max] {
            #expect(try await catalog.files(FileQuery(skip: skip)) == FilePage(count: 1, items: []))
        }
    }

    fileprivate func searchFindsTextAnywhereInTheName() async throws {
        for name in ["report.pdf", "my report", "rapport.pdf"] { _ = try await add(name, named: name) }
        #expect(try await found("report") == ["report.pdf", "my report"])
        #expect(try await found("pdf") == ["report.pdf", "rapport.pdf"])
        #expect(try await found("my report") == ["my report"])
        #expect(try await found("my  report") == [])
        #expect(try await found("report.pdf.") == [])
    }

    fileprivate func searchFindsTextInThePathToo() async throws {
        let long = (["May"] + Array(repeating: String(repeating: "x", count: 200), count: 5)).joined(separator: "/")
        for (name, path) in [("a", "2026/May/a"), ("b", nil), ("may", "2026/june/c_d"), ("e", long)] {
            _ = try await add("text", named: name, path: path)
        }
        #expect(try await found("may") == ["a", "may", "e"])
        #expect(try await found("2026/MAY/") == ["a"])
        #expect(try await found("c_d") == ["may"])
        #expect(try await found("_a") == [])
        #expect(try await found("/") == ["a", "may", "e"])
        #expect(try await found(long) == ["e"])
        #expect(try await found(long + "x") == [])
    }

    fileprivate func searchFoldsASCIILettersOnly() async throws {
        for name in ["Report", "rEPORT", "ÉTÉ", "été", "تقرير"] { _ = try await add(name, named: name) }
        #expect(try await found("report") == ["Report", "rEPORT"])
        #expect(try await found("REPORT") == ["Report", "rEPORT"])
        #expect(try await found("été") == ["été"])
        #expect(try await found("ÉTÉ") == ["ÉTÉ"])
        #expect(try await found("قر") == ["تقرير"])
    }

    fileprivate func searchTakesWildcardsLiterally() async throws {
        let names = ["100%", "100", "a_b", "axb", "a\\b", "a*b", "a?b", "a[x]b", "a'b", "%_\\"]
        for name in names { _ = try await add(name, named: name) }
        #expect(try await found("%") == ["100%", "%_\\"])
        #expect(try await found("0%") == ["100%"])
        #expect(try await found("_") == ["a_b", "%_\\"])
        #expect(try await found("a_b") == ["a_b"])
        #expect(try await found("\\") == ["a\\b", "%_\\"])
        #expect(try await found("\\%") == [])
        #expect(try await found("*") == ["a*b"])
        #expect(try await found("?") == ["a?b"])
        #expect(try await found("[x]") == ["a[x]b"])
        #expect(try await found("'") == ["a'b"])
        #expect(try await found("%_\\") == ["%_\\"])
    }

    fileprivate func emptySearchFindsEverything() async throws {
        for name in ["a", "b"] { _ = try await add(name, named: name) }
        #expect(try await found("") == ["a", "b"])
        #expect(try await found(nil) == ["a", "b"])
    }

    fileprivate func ownerSeesTheirFilesOnly() async throws {
        for (name, owner) in [("a", Subject.ann), ("b", .bob), ("c", .ann)] {
            _ = try await add("text", named: name, owner: owner)
        }
        #expect(try await list(FileQuery(owner: .ann)) == (["a", "c"], 2))
        #expect(try await list(FileQuery(owner: .bob)) == (["b"], 1))
        for stranger in ["carl", "Ann", "an", "an%", "a_n", ""] {
            #expect(try await list(FileQuery(owner: Subject(stranger))) == ([], 0))
        }
        #expect(try await list(FileQuery()) == (["a", "b", "c"], 3))
    }

    fileprivate func filtersWorkTogether() async throws {
        for number in 0..<20 {
            let owner: Subject = number.isMultiple(of: 2) ? .ann : .bob
            let name = "\(number.isMultiple(of: 4) ? "photo" : "scan") \(number)"
            _ = try await add(String(repeating: "x", count: number), named: name, owner: owner)
        }
        let query = FileQuery(owner: .ann, search: "PHOTO", order: .size, isDescending: true, skip: 1, top: 2)
        #expect(try await list(query) == (["photo 12", "photo 8"], 5))
    }

    fileprivate func goneFilesAreNotListed() async throws {
        _ = try await add("text", named: "temporary", lifetime: .seconds(60))
        let destroyed = try await add("text", named: "destroyed")
        _ = try await add("text", named: "kept")
        #expect(try await found(nil) == ["temporary", "destroyed", "kept"])
        try await catalog.destroyFile(destroyed.id, of: .ann)
        clock.advance(by: .seconds(60))
        #expect(try await found(nil) == ["kept"])
        #expect(try await found("temporary") == [])
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await found(nil) == ["kept"])
    }
}
