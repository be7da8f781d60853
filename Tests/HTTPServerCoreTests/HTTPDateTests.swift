// Times as HTTP headers write them.

import Foundation
import Glibc
import Testing

@testable import HTTPServerCore

@Suite struct HTTPDateTests {
    @Test(
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (1e300, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (-1e300, "Mon, 01 Jan 0001 00:00:00 GMT"),
        ] as [(TimeInterval, String)])
    func forms(_ seconds: TimeInterval, _ text: String) {
        #expect(httpDate(Date(timeIntervalSince1970: seconds)) == text)
    }

    @Test func theHeaderIsNow() {
        let header = DateHeader()
        var (before, value, after): (time_t, String, time_t)
        repeat {
            before = time(nil)
            value = header.value
            after = time(nil)
        } while before != after
        #expect(value == httpDate(Date(timeIntervalSince1970: TimeInterval(before))))
    }
}
