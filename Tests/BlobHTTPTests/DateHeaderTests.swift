// The time at which an answer was made.

import BlobCore
import Foundation
import Testing

@testable import BlobHTTP

@Suite struct DateHeaderTests {
    @Test func theHeaderIsNow() {
        let header = DateHeader()
        var (before, value, after): (time_t, String, time_t)
        repeat {
            before = time(nil)
            value = header.value
            after = time(nil)
        } while before != after
        #expect(value == HTTPDate.text(Date(timeIntervalSince1970: TimeInterval(before))))
    }
}
