// Times as replies tell them.

import Foundation

enum S3Time {
    /// RFC 9110, §5.6.7, in the one form that is still made: `Fri, 24 May 2013 00:00:00 GMT`.
    static func httpDate(_ text: String) -> Date? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[0].hasSuffix(","), words[5] == "GMT",
            let month = months.firstIndex(of: String(words[2]))
        else { return nil }
        let number = String(month + 1)
        return iso8601("\(words[3])-\(number.count < 2 ? "0" : "")\(number)-\(words[1])T\(words[4])Z")
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// ISO 8601 in UTC, with or without parts of a second.
    static func iso8601(_ text: String) -> Date? {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        return (try? style.parse(text)) ?? (try? Date(text, strategy: .iso8601))
    }
}
