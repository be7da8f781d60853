// When an answer was made.

import BlobCore
import Foundation
import Synchronization

/// The time of an answer. Formatted once per second, since every answer bears it (RFC 9110 §6.6.1).
final class DateHeader: Sendable {
    private let last = Mutex<(seconds: time_t, text: String)>((0, ""))

    var value: String {
        let now = time(nil)
        return last.withLock { last in
            if last.seconds != now { last = (now, HTTPDate.text(Date(timeIntervalSince1970: TimeInterval(now)))) }
            return last.text
        }
    }
}
