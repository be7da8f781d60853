// The registry of error answers agrees with the documents, and has a kind for each fact of the stores.

import BlobCore
import Foundation
import HTTPTypes
import Testing

@testable import BlobHTTP

@Suite struct ErrorRegistryTests {
    /// A status and a code, by which a client decides.
    private struct Pair: Hashable, CustomStringConvertible {
        let status: Int
        let code: String

        var description: String { "\(status) \(code)" }
    }

    private static let registered = ErrorKind.allCases.map(\.row).map {
        Pair(status: $0.status.code, code: $0.code.rawValue)
    }

    @Test("docs/api.md has one row for each kind, in the same words")
    func tableIsTheRegistry() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let text = try String(contentsOf: root.appending(path: "docs/api.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix("Errors\n") })
        let table = section.split(separator: "\n").filter { $0.hasPrefix("|") }.dropFirst(2).map(String.init)
        let rows = ErrorKind.allCases.map(\.row).map { row in
            let later = row.prospect == .none ? [] : ["*later*"]
            let remedy = (later + (row.remedy.isEmpty ? [] : [row.remedy])).joined(separator: "; ")
            return
                "| \(row.status.code) | `\(row.code.rawValue)` | \(row.meaning) |\(remedy.isEmpty ? "" : " " + remedy) |"
        }
        for row in Set(table).symmetricDifference(rows) {
            Issue.record("\(table.contains(row) ? "only in docs/api.md" : "only in the registry"): \(row)")
        }
        #expect(table == rows, "in this order")
    }

    /// Pairs that no operation promises.
    private static let promisedByNone: [Pair: String] = [
        Pair(status: 500, code: "INTERNAL_ERROR"): "a fault of the server, which no operation foresees"
    ]

    @Test("openapi.json names exactly these statuses and codes")
    func descriptionNamesTheRegistry() throws {
        struct Description: Decodable {
            let paths: [String: [String: Operation]]
            let components: Components
        }
        struct Operation: Decodable { let responses: [String: Reference] }
        struct Reference: Decodable {
            let ref: String?

            private enum CodingKeys: String, CodingKey { case ref = "$ref" }
        }
        struct Components: Decodable {
            let responses: [String: Answer]
            let schemas: [String: Schema]
        }
        struct Answer: Decodable { let content: [String: Content] }
        struct Content: Decodable { let schema: Schema }
        /// As deep as an error's code lies.
        struct Schema: Decodable {
            let allOf: [Part]?
            let properties: Part.Properties?

            struct Part: Decodable {
                let properties: Properties?

                struct Properties: Decodable { let errors: Errors? }
                struct Errors: Decodable { let items: Items }
                struct Items: Decodable { let properties: Item }
                struct Item: Decodable { let code: Code }
                struct Code: Decodable { let `enum`: [String] }
            }

            var codes: [String] {
                let parts = (allOf ?? []).compactMap(\.properties) + [properties].compactMap(\.self)
                return parts.compactMap(\.errors).flatMap(\.items.properties.code.enum)
            }
        }
        let description = try JSONDecoder().decode(Description.self, from: Data(PackageResources.openapi_json))
        var described: Set<Pair> = []
        var unused = Set(description.components.responses.keys)
        for operation in description.paths.values.flatMap(\.values) {
            for (status, response) in operation.responses {
                guard let name = response.ref?.split(separator: "/").last.map(String.init) else { continue }
                unused.remove(name)
                let answer = try #require(description.components.responses[name])
                for code in answer.content.values.flatMap(\.schema.codes) {
                    described.insert(Pair(status: try #require(Int(status)), code: code))
                }
            }
        }
        #expect(described.symmetricDifference(Self.registered) == Set(Self.promisedByNone.keys))
        #expect(described.isDisjoint(with: Self.promisedByNone.keys))
        #expect(unused.isEmpty)
        let codes = description.components.schemas["Errors"]?.codes ?? []
        #expect(Set(codes) == Set(described.map(\.code)))
    }

    @Test func noTwoKindsAreTheSameToAClient() {
        // Too many open uploads and too many requests are one code, and end alike: later.
        #expect(Set(Self.registered).count == Self.registered.count - 1)
        #expect(Set(Self.registered.map(\.code)) == Set(ErrorCode.allCases.map(\.rawValue)))
    }

    private static let digests = (BlobDigest(of: "a".utf8), BlobDigest(of: "b".utf8))

    /// A fact for each kind that has some, and those whose details have an order.
    @Test(
        arguments: [
            (BlobError.uploadUnknown, .uploadUnknown, nil), (.uploadFailed, .uploadFailed, nil),
            (.uploadSuperseded, .uploadSuperseded, nil), (BlobError(.holdsMore, offset: 5), .rangeInvalid, .offset(5)),
            (BlobError(.offsetMismatch(given: 3), offset: 5), .offsetMismatch, .offset(5)),
            (BlobError(.lengthMismatch(announced: 1, body: 2), offset: 5), .lengthMismatch, .offset(5)),
            (BlobError(.bodyIncomplete), .badRequest, nil), (BlobError(.tooLarge(limit: 1)), .tooLarge, nil),
            (BlobError(.digestMalformed), .digestInvalid, nil), (.bytesUnknown, .blobUnknown, nil),
            (.blobCorrupt, .blobCorrupt, nil), (.fileUnknown, .fileUnknown, nil),
            (BlobError(.pathInvalid(.segment)), .validationFailed, nil),
            (BlobError(.tokenInvalid(.unknown)), .unauthorized, nil), (BlobError(.quotaUsedUp), .quotaExceeded, nil),
            (BlobError(.tooManyUploads(open: 1)), .tooManyUploads, nil),
            (BlobError(.insufficientStorage(.disk)), .insufficientStorage, nil),
            (.stopping, .unavailable, .retryAfter(seconds: 5)),
            (BlobError(.unavailable(.stopping), offset: 5), .unavailable, .offset(5)),
            (BlobError(.unavailable(.storeUnreadable(errno: 5))), .unavailable, nil),
            (
                BlobError(.digestMismatch(given: digests.0, actual: digests.1, size: 7), offset: 7), .digestInvalid,
                .content(digest: digests.1, size: 7)
            ),
        ] as [(BlobError, ErrorKind, WireError.Detail?)])
    func factsOnTheWire(_ fact: BlobError, _ kind: ErrorKind, _ detail: WireError.Detail?) {
        let error = WireError(fact)
        #expect(error.kind == kind)
        #expect(error.detail == detail)
        #expect(error.message.hasSuffix("."))
    }

    @Test(
        arguments: [
            (BlobError(.offsetMismatch(given: 3), offset: 5), "The upload's offset is 5, not 3."),
            (BlobError(.holdsMore, offset: 5), "The upload holds 5 bytes, more than you were told: go on from there."),
            (
                BlobError(.rangeStartsElsewhere(first: 3), offset: 5),
                "The range begins at 3, but the upload's offset is 5."
            ),
            (BlobError(.unavailable(.storeUnreadable(errno: 13))), "The store cannot be read: Permission denied."),
            (
                BlobError(.unavailable(.storeUnwritable(errno: 24))),
                "The store cannot be written: too many files are open."
            ),
            (
                BlobError(.insufficientStorage(.database)),
                "The database has no room to record this. What was acknowledged is safe; try again later."
            ),
        ])
    func messages(_ fact: BlobError, _ message: String) {
        #expect(WireError(fact).message == message)
    }

    @Test(
        arguments: [
            ("a%0Ab", "holds U+000A LINE FEED, which nobody would see there: leave it out."),
            ("a%E2%80%AEb", "holds U+202E RIGHT-TO-LEFT OVERRIDE, which nobody would see there: leave it out."),
            ("a%ED%A0%80b", "holds U+D800, half of a surrogate pair: encode whole characters as UTF-8."),
            ("%ED%BF%BF", "holds U+DFFF, half of a surrogate pair: encode whole characters as UTF-8."),
            ("%ED%A0", "is not percent-encoded UTF-8."), ("%FF", "is not percent-encoded UTF-8."),
            ("%ED%A0%80%", "is not percent-encoded UTF-8."),
        ])
    func theDoorSaysWhichParameterWasWrong(value: String, words: String) {
        for name in ["filename", "path"] {
            let error = #expect(throws: WireError.self) {
                if name == "path" {
                    _ = try Query("path=\(value)").value(name, parsedBy: RelativePath.init(parsing:))
                } else {
                    _ = try Query("filename=\(value)").value(name, parsedBy: FileName.init(parsing:))
                }
            }
            #expect(error == .invalid("The parameter '\(name)' \(words)"))
        }
    }
}
