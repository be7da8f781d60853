// A list of files as a sequence of its pages.

/// The pages of a list, each asked for when it is wanted; see ``BlobServiceClient/filePages(_:)``.
public struct FilePages: AsyncSequence, Sendable {
    let client: BlobServiceClient
    let query: FileQuery

    public struct AsyncIterator: AsyncIteratorProtocol {
        let client: BlobServiceClient
        /// What the next page is; `nil` after the last.
        var query: FileQuery?

        /// - Throws: ``BlobClientError``, `CancellationError`.
        public mutating func next() async throws -> FilePage? {
            guard let asked = query else { return nil }
            let page = try await client.files(asked)
            query = asked.following(page)
            return page
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(client: client, query: query)
    }
}

extension FileQuery {
    /// The query of the page after this one, if there is any.
    fileprivate func following(_ page: FilePage) -> FileQuery? {
        var query = self
        if let next = page.next {
            (query.after, query.skip) = (next, 0)
            return query
        }
        // The last page of a server with cursors, where one came before.
        guard after == nil else { return nil }
        query.skip += page.items.count
        return page.items.isEmpty || query.skip >= page.count ? nil : query
    }
}
