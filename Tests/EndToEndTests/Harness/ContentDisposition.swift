// The name in `Content-Disposition: attachment; filename="…"`, with `filename*` (RFC 8187) beside it.

import Foundation

struct ContentDisposition {
    /// The quoted name, its escapes undone.
    let plain: String
    /// `filename*`, decoded; nil when not there.
    let extended: String?

    /// The name that a browser gives the file.
    var name: String { extended ?? plain }

    init(_ response: Response) throws {
        let text = response.headers["Content-Disposition"] ?? ""
        let form = /attachment; filename="((?:[^"\\]|\\.)*)"(?:; filename\*=UTF-8''([!#$&+\-.^_`|~0-9A-Za-z%]+))?/
        guard let parts = text.wholeMatch(of: form) else { throw Failure("Content-Disposition: \(text)") }
        plain = String(parts.1).replacing(/\\(.)/) { String($0.1) }
        extended = try parts.2.map { encoded in
            guard let name = String(encoded).removingPercentEncoding else { throw Failure("filename*: \(encoded)") }
            return name
        }
    }
}
