// The lines of a server for the person who started it.

import Foundation

/// The lines on standard output once a server takes connections.
struct Welcome {
    /// The address that was bound, with the true port.
    let address: ListenAddress
    /// Where clients reach it all the same; `nil` where nobody told that.
    var publicURL: String?
    /// The certificate to trust for trying out TLS; `nil` when it needs no mention.
    let selfSignedCertificate: String?
    /// `nil` where there are tokens already, and none of them lies in a file.
    let firstToken: FirstToken?
    let isSecure: Bool

    /// How a newcomer gets in.
    enum FirstToken {
        /// It lies in a file, which this start or an earlier one wrote.
        case file(String)
        /// There is none, and somebody has to make one.
        case missing
    }

    /// The line that scripts wait for comes first; help for a newcomer follows, and never holds a token.
    var text: String {
        let scheme = isSecure ? "https" : "http"
        var lines = ["blobd is ready on \(scheme)://\(address)"]
        if let publicURL { lines.append("Clients reach it at \(publicURL)") }
        if let selfSignedCertificate {
            lines.append("For clients to trust, the certificate it made: \(absolute(selfSignedCertificate))")
        }
        switch firstToken {
        case nil: break
        case .missing:
            lines.append("There is no token yet. Make one, with the same settings: blobd token create NAME")
        case .file(let adminToken):
            let trust = selfSignedCertificate.map { " --cacert \(quoted(absolute($0)))" } ?? ""
            let path = absolute(adminToken)
            lines.append("A first token with all scopes is in \(path). Try it:")
            lines.append(
                "  curl -i\(trust) -X POST -H \"Authorization: Bearer $(cat \(quoted(path)))\" "
                    + "'\(scheme)://\(address.reachable)/api/blobs/uploads?filename=hello.txt'"
            )
            lines.append(
                "Once you have tokens of your own, 'blobd token revoke \(AdminToken.name)' removes it and its file.")
        }
        return lines.joined(separator: "\n")
    }

    private func absolute(_ path: String) -> String {
        URL(filePath: path).standardizedFileURL.path(percentEncoded: false)
    }

    /// A path as a shell takes it.
    private func quoted(_ path: String) -> String {
        path.isPlain(with: "/._-") ? path : "'" + path.replacing("'", with: #"'\''"#) + "'"
    }
}
