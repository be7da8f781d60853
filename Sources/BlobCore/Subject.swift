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

    public init(subject: Subject, scopes: Set<Scope>) {
        self.subject = subject
        self.scopes = scopes
    }

    /// Whether the caller may see and remove what others own.
    public var isAdministrator: Bool { scopes.contains(.admin) }
}
