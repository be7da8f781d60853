// Which pages of other origins may use the server: the CORS protocol of the Fetch standard.

import HTTPServerCore
import HTTPTypes

/// Whose pages may use the server.
public enum AllowedOrigins: Equatable, Sendable {
    /// Everybody's: what they may do, their tokens say, which no browser sends by itself.
    case all
    case listed([WebOrigin])
}

/// Adds what browsers ask for before they let a page of an allowed origin send a request or read an answer.
///
/// Other pages get the usual answers, which their browsers keep from them.
struct CrossOriginAccess: Filter {
    let origins: AllowedOrigins

    func complete(_ answer: inout Response, to request: Request?, _ record: RequestRecord) {
        // What is no request is no page's.
        guard let request else { return }
        let origin = request.fields[.origin]
        switch origins {
        case .all:
            // Whoever asks, so that a cached answer to an image's request serves a page's, too.
            answer.fields.append(HTTPField(name: .accessControlAllowOrigin, value: "*"))
        case .listed(let origins):
            answer.fields.append(HTTPField(name: .vary, value: "Origin"))
            guard let origin, let known = origins.first(where: { $0.text.utf8.elementsEqual(origin.utf8) }) else {
                return
            }
            answer.fields.append(HTTPField(name: .accessControlAllowOrigin, value: known.text))
        }
        answer.fields.append(Self.exposed)
        guard request.method == .options, origin != nil, request.fields[.accessControlRequestMethod] != nil,
            answer.status == .noContent, let methods = answer.fields[.allow]
        else { return }
        answer.fields.append(HTTPField(name: .accessControlAllowMethods, value: methods))
        answer.fields.append(Self.allowed)
        answer.fields.append(Self.lifetime)
    }

    /// What a page may send beside that which every page may.
    private static let allowed = HTTPField(
        name: .accessControlAllowHeaders,
        value: [
            "Authorization", "Content-Digest", "Content-Disposition", "Content-Range", "Content-Type", "If-Match",
            "If-None-Match", "If-Range", "Origin", "PortSIP-Upload-Token", "Range", "Repr-Digest", "Tus-Resumable",
            "Upload-Checksum", "Upload-Complete", "Upload-Concat", "Upload-Defer-Length",
            "Upload-Draft-Interop-Version", "Upload-Incomplete", "Upload-Length", "Upload-Metadata", "Upload-Offset",
            "Want-Content-Digest", "Want-Repr-Digest", "X-HTTP-Method-Override", "X-Request-ID", "X-Requested-With",
        ].joined(separator: ", ")
    )

    /// What a page may read beside that which every page may.
    private static let exposed = HTTPField(
        name: .accessControlExposeHeaders,
        value: [
            "Accept-Ranges", "Allow", "Content-Digest", "Content-Disposition", "Content-Location", "Content-Range",
            "Date", "ETag", "Location", "PortSIP-Upload-ID", "PortSIP-Upload-Token", "Range", "Repr-Digest",
            "Retry-After", "Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version",
            "Upload-Complete", "Upload-Concat", "Upload-Defer-Length", "Upload-Draft-Interop-Version",
            "Upload-Expires", "Upload-Incomplete", "Upload-Length", "Upload-Limit", "Upload-Metadata",
            "Upload-Offset", "WWW-Authenticate", "X-Request-ID",
        ].joined(separator: ", ")
    )

    /// In seconds: a day. Browsers take less: Chromium two hours.
    private static let lifetime = HTTPField(name: .accessControlMaxAge, value: "86400")
}
