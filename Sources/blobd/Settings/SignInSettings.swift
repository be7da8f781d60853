// Who else may say who calls: the settings of tokens that an issuer signs.

import BlobCore
import Foundation
import OIDC

struct SignInSettings: Sendable {
    let policy: TokenPolicy
    let algorithms: Set<SigningAlgorithm>
    let keys: KeyPlace

    private static let needed: [Setting] = [.jwtAudience, .jwtKeys]
    /// Those that mean nothing without an issuer.
    private static let dependent = needed + [.jwtAlgorithms, .jwtScopeClaim, .jwtScopes]

    /// - Returns: `nil` where no issuer is named.
    /// - Throws: ``SettingsError`` for settings that are missing, or that nobody would look at.
    init?(_ effective: EffectiveSettings) throws(SettingsError) {
        guard let issuer: IssuerName = effective.optionalValue(.jwtIssuer) else {
            let useless = Self.dependent.filter { effective[$0] != nil }
            guard useless.isEmpty else {
                throw SettingsError(
                    useless.map { "\(effective.naming($0)) needs jwt-issuer, the issuer whose tokens are taken" })
            }
            return nil
        }
        guard let audience: ClaimText = effective.optionalValue(.jwtAudience),
            let keys: KeyPlace = effective.optionalValue(.jwtKeys)
        else {
            throw SettingsError(
                Self.needed.filter { effective[$0] == nil }.map {
                    "\(effective.naming(.jwtIssuer)) needs \($0.rawValue): \($0.row.summary)"
                })
        }
        let scopeClaim: ClaimText? = effective.optionalValue(.jwtScopeClaim)
        let list: AlgorithmList? = effective.optionalValue(.jwtAlgorithms)
        algorithms = list?.algorithms ?? Set(SigningAlgorithm.allCases)
        self.keys = keys
        policy = TokenPolicy(
            issuer: issuer.text, audience: audience.text, algorithms: algorithms, scopeClaim: scopeClaim?.text,
            scopes: effective.optionalValue(.jwtScopes) ?? .standard
        )
    }
}

/// The name of an issuer (OpenID Connect Core §2).
struct IssuerName: SettingValue {
    let text: String

    init?(settingText: String) {
        guard let url = ServiceAddress(settingText), url.components.query == nil else { return nil }
        text = settingText
    }

    static var placeholder: String { "URL" }
    static var form: String {
        "an https URL without '?' and '#', such as https://login.example.com, or http on this machine"
    }
}

/// Where an issuer shows its keys.
enum KeyPlace: SettingValue, Equatable {
    case file(String)
    case page(url: String)

    init?(settingText: String) {
        if settingText.contains("://") {
            guard ServiceAddress(settingText) != nil else { return nil }
            self = .page(url: settingText)
        } else {
            guard let path = String(settingText: settingText) else { return nil }
            self = .file(path)
        }
    }

    static var placeholder: String { "PATH|URL" }
    static var form: String {
        "a path, or an https URL such as https://login.example.com/jwks.json, or http on this machine"
    }
}

/// An address of https; or of http, where nobody else can read or change what goes over it.
private struct ServiceAddress {
    let components: URLComponents

    init?(_ text: String) {
        guard text.utf8.count <= 1024, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            let components = URLComponents(string: text), let host = components.host, !host.isEmpty,
            components.user == nil, components.password == nil, components.fragment == nil
        else { return nil }
        let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        guard
            components.scheme == "https" || components.scheme == "http" && ListenAddress(host: name, port: 0).isLoopback
        else { return nil }
        self.components = components
    }
}

/// The name or the value of a claim.
struct ClaimText: SettingValue {
    let text: String

    init?(settingText: String) {
        guard (1...255).contains(settingText.utf8.count), settingText.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        text = settingText
    }

    static var placeholder: String { "TEXT" }
    static var form: String { "1 to 255 visible characters of ASCII" }
}

/// Algorithms with commas between them.
struct AlgorithmList: SettingValue {
    let algorithms: Set<SigningAlgorithm>

    init?(settingText: String) {
        let named = settingText.split(separator: ",", omittingEmptySubsequences: false).map {
            SigningAlgorithm(rawValue: String($0))
        }
        algorithms = Set(named.compactMap(\.self))
        guard !named.contains(nil) else { return nil }
    }

    static var placeholder: String { "LIST" }
    static var form: String {
        "some of \(SigningAlgorithm.allCases.map(\.rawValue).joined(separator: ",")), with commas between them"
    }
}

extension ScopeMapping: SettingValue {
    init?(settingText: String) { self.init(parsing: settingText) }

    static var placeholder: String { "WORD=SCOPE,…" }
    static var form: String {
        "pairs such as files.read=read,files.write=upload with commas between them; scopes are "
            + Scope.allCases.map(\.rawValue).joined(separator: ", ")
    }
}
