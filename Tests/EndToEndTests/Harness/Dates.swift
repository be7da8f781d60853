// The two forms of time on the wire.

import Foundation

enum Dates {
    /// An HTTP date (RFC 9110, IMF-fixdate), as in `Upload-Expires`.
    static func http(_ text: String?) throws -> Date {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        formatter.isLenient = false
        guard let text, let date = formatter.date(from: text) else {
            throw Failure("not an HTTP date: \(text ?? "nil")")
        }
        return date
    }

    /// RFC 3339 in UTC, as in JSON.
    static func rfc3339(_ json: JSON?) throws -> Date {
        let text = json?.string ?? ""
        guard text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil,
            let date = ISO8601DateFormatter().date(from: text.prefix(19) + "Z")
        else { throw Failure("not RFC 3339 in UTC: \(text)") }
        return date
    }
}
