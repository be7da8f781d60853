// Who calls, and what a token allows.

/// Who calls: the owner of uploads and files.
public struct Subject: Hashable, Sendable {
    public let name: String

    public init(_ name: String) {
        self.name = name
    }
}

extension Subject {
    /// By bytes, as the catalogs compare: names that are equal as text alone, since Unicode writes them in two ways,
    /// are two subjects.
    public static func == (one: Subject, other: Subject) -> Bool {
        one.name.utf8.elementsEqual(other.name.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in name.utf8 { hasher.combine(byte) }
    }
}

extension Subject: CustomStringConvertible {
    public var description: String { name }
}

/// What a token allows.
public enum Scope: String, CaseIterable, Sendable {
    /// Start, fill, complete and cancel uploads.
    case upload
    /// See one's files, and download where downloads are private.
    case read
    /// Remove one's files.
    case delete
    /// See and remove everybody's files.
    case admin
}

/// A caller whose token was checked.
public struct Caller: Sendable {
    public let subject: Subject
    public let scopes: Set<Scope>
    /// Names the token that let the caller in; `nil` where it has no name.
    public let token: String?
    private let anew: @Sendable () async throws(BlobError) -> Caller

    /// - Parameter anew: finds out once more who calls, by what the request was signed with.
    public init(
        subject: Subject, scopes: Set<Scope>, token: String? = nil,
        anew: @escaping @Sendable () async throws(BlobError) -> Caller
    ) {
        self.subject = subject
        self.scopes = scopes
        self.token = token
        self.anew = anew
    }

    /// Looks whether the caller may go on. What let a request in may end while it runs.
    ///
    /// - Throws: ``BlobError/Reason/tokenInvalid(_:)`` when it does not let this in any more.
    public func confirm(_ scope: Scope) async throws(BlobError) {
        let caller = try await anew()
        guard caller.subject == subject, caller.scopes.contains(scope) else {
            throw BlobError(.tokenInvalid(.changed))
        }
    }

    /// Whether the caller may see and remove what others own.
    public var isAdministrator: Bool { scopes.contains(.admin) }
}
