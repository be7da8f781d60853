// Times as replies tell them.

import Foundation

enum S3Time {
    /// ISO 8601 in UTC, with or without parts of a second.
    static func iso8601(_ text: String) -> Date? {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        return (try? style.parse(text)) ?? (try? Date(text, strategy: .iso8601))
    }
}
