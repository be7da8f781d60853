// What was done to a store, by whom: the records, and where they are kept.

public import Logging

/// An event that an operator wants to be able to prove.
public struct AuditRecord: Equatable, Sendable {
    public enum Event: String, CaseIterable, Sendable {
        /// An upload was started.
        case begin
        /// An upload became a file.
        case complete
        /// An upload was given up.
        case destroy
        /// A file was removed.
        case delete
        case tokenCreated = "token-created"
        case tokenRevoked = "token-revoked"
        case signInRefused = "sign-in-refused"
        /// Records can be kept again, after a time in which they could not.
        case logResumed = "log-resumed"
    }

    /// What is told beside the event, in this order.
    public enum Fact: String, CaseIterable, Sendable {
        /// For whom the token speaks, and its name: the caller's, but of an event that is about a token, that token's.
        case subject, token
        case scopes, expires
        /// Of the system's user who ran a command.
        case uid
        case address
        /// What was asked for, where the event does not say.
        case operation
        case upload, file, name, digest, size
        /// Of the answer.
        case status
        /// How many of the same a record stands for, in how many seconds.
        case count, seconds
        /// The answer's `X-Request-ID`.
        case request
    }

    public let event: Event
    /// As the answer calls it; `nil` where it was done.
    public let failure: String?
    public let facts: [Fact: Logger.MetadataValue]

    public init(_ event: Event, failure: String? = nil, _ facts: [Fact: Logger.MetadataValue]) {
        (self.event, self.failure, self.facts) = (event, failure, facts)
    }

    /// Whether it tells of a change that was made.
    public var isChange: Bool { failure == nil && event != .logResumed }
}

/// Keeps records for good.
public protocol AuditLog: Sendable {
    /// Whether records can be kept now, as far as that is known.
    var isWritable: Bool { get }

    /// Keeps a record; returns when it is durable.
    ///
    /// - Returns: `false` when it cannot be kept now. Of a change that was made it is kept later, before others.
    func append(_ record: AuditRecord) async -> Bool
}
