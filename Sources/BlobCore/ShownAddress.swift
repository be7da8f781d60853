// Addresses as errors, logs and screens may show them.

extension String {
    /// The text of an address without what lets somebody in: what stands before the last `@`, such as
    /// `user:password`, and the query, which may hold a signature. `…` stands in their places.
    ///
    /// Also for a text that is no well-formed address: a password that was not escaped is in it, too.
    public var withoutCredentials: String {
        let parts = split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        let scheme = parts.count == 2 ? parts[0] + "://" : ""
        let rest = parts[parts.count - 1]
        switch (rest.firstIndex(of: "?"), rest.lastIndex(of: "@")) {
        case (nil, nil): return self
        case (nil, let sign?): return "\(scheme)…\(rest[sign...])"
        case (let mark?, nil): return "\(scheme)\(rest[...mark])…"
        // The mark may be a part of a password, and the sign a part of a query.
        case (let mark?, let sign?) where mark < sign: return "\(scheme)…"
        case (let mark?, let sign?): return "\(scheme)…\(rest[sign...mark])…"
        }
    }
}
