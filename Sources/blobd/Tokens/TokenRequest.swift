// What an administrator asks for when making a token.

import BlobCore
import BlobStorage
import Foundation

/// A token to be made, each part checked.
struct TokenRequest: Equatable {
    /// The fault of a request, and the remedy.
    struct Invalid: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    let name: String
    /// Whose files the token reaches.
    let subject: Subject
    let scopes: Set<Scope>
    /// `nil` for a token without end.
    let life: Duration?

    /// - Parameters:
    ///   - subject: that of the name, if `nil`.
    ///   - scopes: with commas between them.
    ///   - expires: the token's life, written like every duration among the settings.
    init(name: String, subject: String? = nil, scopes: String, expires: String?) throws(Invalid) {
        guard Self.isName(name) else { throw Invalid(description: "the name '\(name)' must be \(Self.nameForm)") }
        self.name = name

        let subject = subject ?? name
        guard Self.isName(subject) else {
            throw Invalid(description: "--subject: '\(subject)' must be \(Self.nameForm)")
        }
        self.subject = Subject(subject)

        var parsed: Set<Scope> = []
        for word in scopes.split(separator: ",", omittingEmptySubsequences: false) {
            guard let scope = Scope(rawValue: String(word)) else {
                let all = Scope.allCases.map(\.rawValue).joined(separator: ",")
                throw Invalid(description: "--scopes: '\(word)' must be some of \(all), with commas between them")
            }
            parsed.insert(scope)
        }
        guard !parsed.contains(.admin) || !parsed.isDisjoint(with: [.read, .delete]) else {
            throw Invalid(
                description:
                    "--scopes: admin alone allows nothing: add read to see everybody's files, delete to remove them"
            )
        }
        self.scopes = parsed

        guard let expires else {
            life = nil
            return
        }
        guard let life = Duration(settingText: expires), life > .zero else {
            throw Invalid(description: "--expires: '\(expires)' must be \(Duration.form)")
        }
        self.life = life
    }

    private static let nameForm = "1 to 64 letters, digits, '.', '_' or '-'"

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.isPlain(with: "._-")
    }

    /// Makes the token.
    ///
    /// - Parameter auditLog: where that is recorded; `nil` for nowhere.
    /// - Returns: its secret, which is kept nowhere else.
    /// - Throws: ``BlobError/Reason/tokenTaken`` when the name is taken.
    func create(
        in catalog: any Catalog, clock: any WallClock, auditLog: (any AuditLog)? = nil
    ) async throws(BlobError) -> TokenSecret {
        let secret = TokenSecret()
        let now = clock.now
        let token = AccessToken(
            name: name, subject: subject, scopes: scopes, created: now,
            expires: life.map { now.addingTimeInterval($0 / .seconds(1)) }
        )
        try await catalog.create(token, secret, recordedIn: auditLog)
        return secret
    }
}
