// The algorithms by which issuers sign.

import JWTKit

/// An asymmetric algorithm of RFC 7518 §3.1 or RFC 8037 §3.1, named as the header `alg` names it. None is symmetric:
/// whoever can check a token must not be able to make one.
public enum SigningAlgorithm: String, CaseIterable, Sendable {
    case es256 = "ES256"
    case es384 = "ES384"
    case rs256 = "RS256"
    case ps256 = "PS256"
    case edDSA = "EdDSA"

    var ofKeys: JWK.Algorithm {
        switch self {
        case .es256: .es256
        case .es384: .es384
        case .rs256: .rs256
        case .ps256: .ps256
        case .edDSA: .eddsa
        }
    }
}
