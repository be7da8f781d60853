// The rules of lists that are paged by cursor.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about lists of which each page begins where the one before ended.
public enum CursorRule: String, CaseIterable, Sendable {
    /// The pages show every file once, in the list's order, in every order and direction, with files that are equal in
    /// it; each tells the count of all, and the last one no cursor.
    case pagesShowEveryFileOnce
    /// A page that was reached by skipping tells the cursor of the next.
    case skippingLeadsToACursor
    /// A file that is there throughout is listed exactly once, whatever is added and deleted before and after the
    /// cursor, its own file included.
    case filesThatStayAreListedOnce
    /// So it is when files expire meanwhile, removed or not.
    case expiryHidesNoOther
    /// Owner and search hold on every page, and so does their count.
    case ownerAndSearchHoldOnEveryPage
    /// A cursor is a place: it may name a file that never was, or the last one.
    case cursorsNeedNoFile

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .pagesShowEveryFileOnce: try await trial.pagesShowEveryFileOnce()
        case .skippingLeadsToACursor: try await trial.skippingLeadsToACursor()
        case .filesThatStayAreListedOnce: try await trial.filesThatStayAreListedOnce()
        case .expiryHidesNoOther: try await trial.expiryHidesNoOther()
        case .ownerAndSearchHoldOnEveryPage: try await trial.ownerAndSearchHoldOnEveryPage()
        case .cursorsNeedNoFile: try await trial.cursorsNeedNoFile()
        }
    }
}

/// All orders, each in both directions.
private let directions = FileQuery.Order.allCases.flatMap { order in [(order, false), (order, true)] }

extension CatalogTrial {
    /// Files of which some are equal in each order: three of a name and a time, four of a size.
    private func addEqualFiles(_ count: Int, named prefix: String = "file") async throws -> [File] {
        var files: [File] = []
        for number in 0..<count {
            if number.isMultiple(of: 3) { clock.advance(by: .milliseconds(125)) }
            files.append(try await add("text \(number / 4)", named: "\(prefix) \(number / 3)"))
        }
        return files
    }

    /// Walks all pages.
    ///
    /// - Parameter between: what happens after each page.
    private func walk(
        _ first: FileQuery, _ between: (FilePage) async throws -> Void = { _ in }
    ) async throws -> [FilePage] {
        var pages = [try await catalog.files(first)]
        while let next = pages.last?.next {
            try await between(pages[pages.count - 1])
            let query = FileQuery(owner: first.owner, search: first.search, after: next, top: first.top)
            pages.append(try await catalog.files(query))
        }
        return pages
    }

    fileprivate func pagesShowEveryFileOnce() async throws {
        let files = try await addEqualFiles(12)
        for (order, isDescending) in directions {
            for top in [1, 3, 5, 12, 100] {
                let query = FileQuery(order: order, isDescending: isDescending, top: top)
                let pages = try await walk(query)
                let expected = isDescending ? files.reversed() : files
                #expect(pages.flatMap(\.items) == expected, "\(query)")
                #expect(pages.count == (12 + top - 1) / top, "\(query): no page is empty")
                #expect(pages.allSatisfy { $0.count == 12 }, "\(query)")
            }
        }
    }

    fileprivate func skippingLeadsToACursor() async throws {
        let files = try await addEqualFiles(12)
        for (order, isDescending) in directions {
            let pages = try await walk(FileQuery(order: order, isDescending: isDescending, skip: 5, top: 3))
            let expected = isDescending ? files.reversed() : files
            #expect(pages.flatMap(\.items) == Array(expected.dropFirst(5)))
        }
        #expect(try await catalog.files(FileQuery(skip: 11, top: 1)).next == nil)
        #expect(try await catalog.files(FileQuery(skip: 12, top: 1)).next == nil)
    }

    fileprivate func filesThatStayAreListedOnce() async throws {
        for (order, isDescending) in directions {
            let prefix = "\(order) \(isDescending)"
            let files = try await addEqualFiles(24, named: prefix)
            // Every third goes, among them files that a cursor names.
            var leaving = files.filter { files.firstIndex(of: $0)?.isMultiple(of: 3) == true }
            let staying = files.filter { !leaving.contains($0) }
            var rounds = 0
            let query = FileQuery(search: prefix, order: order, isDescending: isDescending, top: 4)
            let pages = try await walk(query) { page in
                if let last = page.items.last, let index = leaving.firstIndex(of: last) {
                    try await catalog.destroyFile(leaving.remove(at: index).id, of: nil)
                }
                if let first = leaving.first { try await catalog.destroyFile(first.id, of: nil) }
                leaving = Array(leaving.dropFirst())
                if let last = leaving.popLast() { try await catalog.destroyFile(last.id, of: nil) }
                // Smaller, larger and equal in name and size; the newest of all. Not without end: by time, the list
                // would have none.
                rounds += 1
                guard rounds <= 10 else { return }
                for (text, name) in [
                    ("", "\(prefix)  "), ("text 100", "\(prefix) 9"), ("text 1", page.items[0].name.text),
                ] {
                    _ = try await add(text, named: name)
                }
            }
            let listed = pages.flatMap(\.items)
            #expect(listed.filter(staying.contains) == (isDescending ? staying.reversed() : staying), "\(query)")
            #expect(Set(listed.map(\.id)).count == listed.count, "\(query): none is listed twice")
        }
    }

    fileprivate func expiryHidesNoOther() async throws {
        for isRemoved in [false, true] {
            var staying: [File] = []
            for number in 0..<20 {
                let life = number.isMultiple(of: 2) ? nil : Duration.seconds(60 * number)
                let file = try await add("text", named: "expiry \(isRemoved) \(number + 10)", lifetime: life)
                if life == nil { staying.append(file) }
            }
            let pages = try await walk(FileQuery(search: "expiry \(isRemoved)", order: .name, top: 2)) { _ in
                clock.advance(by: .seconds(180))
                if isRemoved { _ = try await catalog.removeExpired(limit: 100) }
            }
            #expect(pages.flatMap(\.items).filter { !$0.isTemporary } == staying)
        }
    }

    fileprivate func ownerAndSearchHoldOnEveryPage() async throws {
        for number in 0..<24 {
            let name = "\(number.isMultiple(of: 4) ? "photo" : "scan") \(number + 10)"
            _ = try await add("text", named: name, owner: number.isMultiple(of: 2) ? .ann : .bob)
        }
        let owned = try await walk(FileQuery(owner: .bob, order: .name, isDescending: true, top: 5))
        #expect(owned.flatMap(\.items).map(\.name.text) == (0..<12).reversed().map { "scan \($0 * 2 + 11)" })
        #expect(owned.allSatisfy { $0.count == 12 })
        for order in FileQuery.Order.allCases {
            let found = try await walk(FileQuery(owner: .ann, search: "PHOTO", order: order, top: 2))
            #expect(found.flatMap(\.items).map(\.name.text) == (0..<6).map { "photo \($0 * 4 + 10)" })
            #expect(found.allSatisfy { $0.count == 6 } && found.count == 3)
        }
    }

    fileprivate func cursorsNeedNoFile() async throws {
        let file = try await add("text", named: "b")
        let other = try await add("text", named: "d")
        guard let lowest = FileID(value: 0), let highest = FileID(value: .max) else { return }
        func after(_ name: String, _ id: FileID, isDescending: Bool = false) async throws -> [File] {
            let place = FileCursor.Place.name(FileName(trusted: name))
            let cursor = FileCursor(place: place, id: id, isDescending: isDescending)
            return try await catalog.files(FileQuery(after: cursor)).items
        }
        #expect(try await after("a", highest) == [file, other])
        #expect(try await after("b", lowest) == [file, other])
        #expect(try await after("b", file.id) == [other])
        #expect(try await after("c", lowest) == [other])
        #expect(try await after("d", other.id) == [])
        #expect(try await after("c", lowest, isDescending: true) == [file])
        #expect(try await after("b", file.id, isDescending: true) == [])
        for (place, isDescending) in [
            (FileCursor.Place.size(.max), false), (.size(.min), true), (.created(Timestamp(milliseconds: .max)), false),
        ] {
            let cursor = FileCursor(place: place, id: highest, isDescending: isDescending)
            #expect(try await catalog.files(FileQuery(after: cursor)) == FilePage(count: 2, items: []))
        }
    }
}
