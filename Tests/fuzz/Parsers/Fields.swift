// The values of header fields, queries and paths.

import BlobCore
import Foundation

@testable import BlobHTTP

extension FuzzedParser {
    private static let digest = String(repeating: "5a", count: 32)

    static let fields = [
        FuzzedParser("range") { bytes in
            guard let first = bytes.first else { return }
            // From 0 to a size that no disk has.
            let size = first == 0 ? 0 : Int64(1) << (first % 63)
            let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
            guard case .satisfiable(let range)? = ByteRange(parsing: text, size: size) else { return }
            try require(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= size, "\(range) of \(size)")
        },
        FuzzedParser(
            "content-range",
            text: { text in
                guard let range = ContentRange(parsing: text) else { return }
                try require(range.first >= 0 && range.first <= range.last, "\(range)")
                try require(ContentRange(parsing: range.description) == range, "\(range) is read otherwise")
            }),
        FuzzedParser(
            "decimal",
            text: { text in
                guard let number = Int64(decimal: text) else { return }
                try require(number >= 0 && Int64(text) == number, "\(number)")
            }),
        FuzzedParser(
            "entity-tags",
            text: { text in
                // More is no condition at all, and blanks would make it more.
                guard text.utf8.count < 8000 else { return }
                let tag = "\"\(digest)\""
                let (strong, weak) = (
                    EntityTags.match(text, tag, weakly: false), EntityTags.match(text, tag, weakly: true)
                )
                try require(!strong || weak, "a strong match is a weak one")
                let isThere = text.utf8.firstRange(of: tag.utf8) != nil || text.utf8.contains(UInt8(ascii: "*"))
                try require(!strong || isThere, "nothing here matches")
                try require(EntityTags.match(" \t" + text + " ", tag, weakly: true) == weak, "blanks do not count")
            }),
        FuzzedParser(
            "bearer",
            text: { text in
                guard let token = try? Admission.bearerToken(text) else { return }
                try require(token.utf8.count < text.utf8.count, "\(token)")
            }),
        FuzzedParser(
            "date",
            text: { text in
                guard let date = HTTPDate.date(text) else { return }
                try require(HTTPDate.date(HTTPDate.text(date)) == date, "\(date) is read otherwise")
            }),
        FuzzedParser(
            "query",
            text: { text in
                let query = Query(text[...])
                for name in ["filename", "path", "digest", "limit"] {
                    guard let value = try? query.value(name) else { continue }
                    let again = try? Query(Substring("\(name)=" + PercentEncoding.component(value))).value(name)
                    try require(again.map { $0.utf8.elementsEqual(value.utf8) } ?? false, "\(name) is read otherwise")
                }
            }),
        FuzzedParser(
            "percent-encoding",
            text: { text in
                let coded = PercentEncoding.component(text)
                try require(PercentEncoding.decoded(coded[...])?.utf8.elementsEqual(text.utf8) ?? false, coded)
                _ = PercentEncoding.bytes(text[...], isForm: true)
            }),
        FuzzedParser(
            "path",
            text: { text in
                for pattern in ["/api/blobs/{digest}", "/api/blobs/uploads/{id}/append", "/ui/{path...}"] {
                    guard let captures = PathPattern(pattern).match(text[...]), !pattern.hasSuffix("...}") else {
                        continue
                    }
                    let value = pattern.contains("digest") ? captures["digest"] : captures["id"]
                    try require(!value.utf8.contains(UInt8(ascii: "/")), "a slash in \(value)")
                }
            }),
    ]
}
