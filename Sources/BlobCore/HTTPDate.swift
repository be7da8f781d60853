// Times as HTTP's headers write them.

public import Foundation

/// RFC 9110, §5.6.7, in the one form that is still made: `Sun, 06 Nov 1994 08:49:37 GMT`.
public enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Parts of a second are dropped. Years before 1 and after 9999 have no such form: the time is the nearest that has
    /// one.
    public static func text(_ date: Date) -> String {
        let seconds = min(max(date.timeIntervalSince1970, -62_135_596_800), 253_402_300_799)
        var (time, fields) = (time_t(seconds.rounded(.down)), tm())
        gmtime_r(&time, &fields)
        let year = digits(fields.tm_year + 1900, count: 4)
        let clock = [fields.tm_hour, fields.tm_min, fields.tm_sec].map { digits($0, count: 2) }.joined(separator: ":")
        return days[Int(fields.tm_wday)] + ", " + digits(fields.tm_mday, count: 2) + " " + months[Int(fields.tm_mon)]
            + " " + year + " " + clock + " GMT"
    }

    /// - Returns: `nil` for anything else, and for days that there are not. The name of the day is not looked at.
    public static func date(_ text: String) -> Date? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 6, let month = months.firstIndex(of: String(words[2])) else { return nil }
        let clock = words[4].split(separator: ":", omittingEmptySubsequences: false)
        let numbers = ([words[1], words[3]] + clock).compactMap { Int64(decimal: $0).flatMap(CInt.init(exactly:)) }
        guard numbers.count == 5, (1...9999).contains(numbers[1]) else { return nil }
        var fields = tm()
        (fields.tm_mday, fields.tm_mon, fields.tm_year) = (numbers[0], CInt(month), numbers[1] - 1900)
        (fields.tm_hour, fields.tm_min, fields.tm_sec) = (numbers[2], numbers[3], numbers[4])
        let date = Date(timeIntervalSince1970: TimeInterval(timegm(&fields)))
        // A text that is no time has become another one.
        return self.text(date).split(separator: " ").dropFirst().elementsEqual(words.dropFirst()) ? date : nil
    }

    private static func digits(_ number: CInt, count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
