// Why a token lets nobody in.

/// A token's fault, in the word of the log. A client is told no more than that its token is invalid.
public enum TokenFault: String, Error, CaseIterable {
    /// No token of this server, or none any more.
    case unknown
    case expired
    /// It speaks for another subject than when the request began, or allows less.
    case changed

    // Of tokens that an issuer signs:

    case oversize
    case malformed
    /// Not signed at all, or by an algorithm that is not among those that are taken.
    case algorithm
    /// A header that asks for what this server does not do, or that brings the key to believe it by.
    case header
    /// Made for another use than to let somebody in.
    case type
    /// Signed with a key that its issuer does not show.
    case key
    case signature
    case issuer
    case audience
    case endless
    case early
    /// Without a subject, or with one that OpenID Connect Core §2 does not allow.
    case subject
}
