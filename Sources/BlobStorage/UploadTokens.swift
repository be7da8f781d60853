// The secrets that allow writing to an upload.

public import BlobCore
import Crypto
import Foundation

/// Derives an upload's token from its identity, so that it is the same for the upload's whole life and never stored.
public struct UploadTokens: Sendable {
    private let key: SymmetricKey
    /// Of a token, in bytes.
    private static let length = (SHA256.byteCount * 8 + 5) / 6

    /// - Parameter secret: the catalog's key, shared by all nodes that serve it.
    public init(secret: [UInt8]) {
        key = SymmetricKey(data: secret)
    }

    /// The token: base64url of an HMAC-SHA-256 (RFC 2104) of the upload's identity.
    public func token(of id: UploadID) -> String {
        Base64URL.text(HMAC<SHA256>.authenticationCode(for: message(id), using: key))
    }

    /// Whether this is the upload's token. Takes the same time whatever differs.
    public func isToken(_ text: String, of id: UploadID) -> Bool {
        guard text.utf8.count == Self.length, let code = Base64URL.bytes(text) else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message(id), using: key)
    }

    private func message(_ id: UploadID) -> [UInt8] {
        Array("blobd upload ".utf8) + id.bytes
    }
}
