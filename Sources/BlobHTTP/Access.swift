// Who may call which route.

import BlobCore
import HTTPTypes

/// What a route asks of its caller.
enum Access: Equatable {
    /// Open to everybody. The one list of public routes is ``Route/access(privateDownloads:)``.
    case everybody
    case bearer(of: Scope)
}

extension Route {
    func access(privateDownloads: Bool) -> Access {
        switch self {
        case .health, .ready, .metrics, .openAPI: .everybody
        case .download: privateDownloads ? .bearer(of: .read) : .everybody
        case .initiate, .append, .status, .complete, .destroy: .bearer(of: .upload)
        case .files, .file: .bearer(of: .read)
        case .destroyFile: .bearer(of: .delete)
        }
    }
}

/// The token of an `Authorization: Bearer TOKEN` header (RFC 6750 §2.1; the scheme in either case).
///
/// - Throws: ``BlobError/Code/unauthorized`` when the header is missing or of another form.
func bearerToken(_ fields: HTTPFields) throws(BlobError) -> String {
    let scheme = "bearer "
    guard let value = fields[.authorization], value.prefix(scheme.count).lowercased() == scheme else {
        throw .needsToken
    }
    return value.dropFirst(scheme.count).trimmingPrefix { $0 == " " }.description
}

extension BlobError {
    static let needsToken = BlobError(.unauthorized, "This needs a token: send 'Authorization: Bearer TOKEN'.")
}
