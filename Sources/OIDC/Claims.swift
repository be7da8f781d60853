// What an issuer says of a caller, and whether it counts here and now.

import BlobCore
import Foundation

/// The claims of a token (RFC 7519 §4.1) that decide here.
struct Claims {
    let issuer: String?
    let subject: String?
    let audiences: [String]
    /// In seconds since 1970, as those after it. Any number that JSON can write.
    let expires: Double?
    let notBefore: Double?
    /// The words of the claim that grants.
    let granted: [String]
}

extension Claims: DecodableWithConfiguration {
    /// The claims that grant, of which the first counts that is there.
    typealias DecodingConfiguration = [String]

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }

        static let issuer = Name(stringValue: "iss")
        static let subject = Name(stringValue: "sub")
        static let audience = Name(stringValue: "aud")
        static let expires = Name(stringValue: "exp")
        static let notBefore = Name(stringValue: "nbf")
    }

    init(from decoder: any Decoder, configuration granting: [String]) throws {
        let claims = try decoder.container(keyedBy: Name.self)
        issuer = try claims.decodeIfPresent(String.self, forKey: .issuer)
        subject = try claims.decodeIfPresent(String.self, forKey: .subject)
        audiences = try claims.decodeIfPresent(Words.self, forKey: .audience)?.whole ?? []
        expires = try claims.decodeIfPresent(Double.self, forKey: .expires)
        notBefore = try claims.decodeIfPresent(Double.self, forKey: .notBefore)
        let grants = granting.map(Name.init(stringValue:)).first { claims.contains($0) }
        granted = try grants.flatMap { try claims.decodeIfPresent(Words.self, forKey: $0) }?.separate ?? []
    }

    /// A text, or several.
    private struct Words: Decodable {
        let whole: [String]

        /// Also those of one text, with spaces between them (RFC 8693 §4.2).
        var separate: [String] { whole.flatMap { $0.split(separator: " ").map(String.init) } }

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                whole = [text]
            } else {
                whole = try value.decode([String].self)
            }
        }
    }
}

extension Claims {
    init(of token: SignedToken, granting: [String]) throws(TokenFault) {
        do {
            self = try JSONDecoder().decode(Claims.self, from: token.claims, configuration: granting)
        } catch {
            throw .malformed
        }
    }

    /// In seconds: how far the clocks of an issuer and of this machine may be apart.
    private static let leeway: Double = 60

    /// - Returns: the subject, which is the issuer's: ``Subject/init(issuer:name:)``.
    /// - Throws: for claims that do not let anybody in here and now.
    func subject(by policy: TokenPolicy, now: Date) throws(TokenFault) -> Subject {
        // By bytes: texts that are equal as such alone are two issuers.
        guard let issuer, issuer.utf8.elementsEqual(policy.issuer.utf8) else { throw .issuer }
        guard audiences.contains(where: { $0.utf8.elementsEqual(policy.audience.utf8) }) else { throw .audience }
        let now = now.timeIntervalSince1970
        guard let expires else { throw .endless }
        guard now < expires + Self.leeway else { throw .expired }
        guard now >= (notBefore ?? 0) - Self.leeway else { throw .early }
        guard let subject, let named = Subject(issuer: issuer, name: subject) else { throw .subject }
        return named
    }
}

extension Subject {
    /// The subject of an issuer, whose name is both: two issuers never speak for the same one. Nor does a token of this
    /// server ever speak for such a one, since there is no space in the names that it can be given.
    ///
    /// - Parameter name: the claim `sub`.
    /// - Returns: `nil` for a name that is no 1 to 255 printable characters of ASCII (OpenID Connect Core §2).
    init?(issuer: String, name: String) {
        guard (1...255).contains(name.utf8.count), name.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            return nil
        }
        self.init("\(issuer) \(name)")
    }
}
