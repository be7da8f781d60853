// The stored forms that all catalogs share.

import BlobCore
import BlobStorage
import Foundation
import Testing

@Suite struct StoredValuesTests {
    @Test func searchPatternIsLiteral() {
        #expect(FileQuery.pattern(holding: #"50%_a\b"#) == #"%50\%\_a\\b%"#)
        #expect(FileQuery.pattern(holding: "a\0b") == nil)
        #expect(FileQuery.pattern(holding: String(repeating: "x", count: 1025)) == nil)
    }

    @Test func scopesComeBack() {
        for scopes in [[], [Scope.admin], Set(Scope.allCases)] { #expect(Set(stored: scopes.stored) == scopes) }
        #expect(Set(stored: "read fly upload") == [.read, .upload])
    }

    @Test func timesStayWithinTheirBits() {
        let moment = Timestamp(milliseconds: 1_750_000_000_125)
        #expect(Timestamp(moment.date) == moment)
        #expect(moment - .milliseconds(125) == Timestamp(milliseconds: 1_750_000_000_000))
        #expect(moment - .seconds(Int64.max) == Timestamp(milliseconds: 1_750_000_000_125 - .max))
        #expect(Timestamp(milliseconds: -2) - .seconds(Int64.max) == Timestamp(milliseconds: .min))
        #expect(moment - .seconds(Int64.min) == Timestamp(milliseconds: .max))
    }
}
