// Times as HTTP headers write them.

public import Foundation
import Glibc
import Synchronization

/// A time in the form that headers use, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
///
/// Years before 1 and after 9999 have no such form: the time is the nearest that has one.
public func httpDate(_ date: Date) -> String {
    let seconds = min(max(date.timeIntervalSince1970, -62_135_596_800), 253_402_300_799)
    return httpDate(seconds: time_t(seconds.rounded(.down)))
}

private func httpDate(seconds: time_t) -> String {
    var (time, fields) = (seconds, tm())
    gmtime_r(&time, &fields)
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let year = String(fields.tm_year + 1900)
    return days[Int(fields.tm_wday)] + ", " + twoDigits(fields.tm_mday) + " " + months[Int(fields.tm_mon)] + " "
        + String(repeating: "0", count: max(0, 4 - year.count)) + year + " " + twoDigits(fields.tm_hour) + ":"
        + twoDigits(fields.tm_min) + ":" + twoDigits(fields.tm_sec) + " GMT"
}

private func twoDigits(_ number: CInt) -> String {
    number < 10 ? "0\(number)" : "\(number)"
}

/// The time of an answer. Formatted once per second, since every answer bears it (RFC 9110 §6.6.1).
public final class DateHeader: Sendable {
    private let last = Mutex<(seconds: time_t, text: String)>((0, ""))

    public init() {}

    public var value: String {
        let now = time(nil)
        return last.withLock { last in
            if last.seconds != now { last = (now, httpDate(seconds: now)) }
            return last.text
        }
    }
}
