// Names and paths of files.

import BlobCore

@testable import BlobHTTP

extension FuzzedParser {
    static let names = [
        FuzzedParser(
            "name",
            text: { text in
                guard let name = try? FileName(parsing: text) else { return }
                try require(HiddenCharacter.first(in: name.text) == nil, "something hidden in \(name)")
                try require(!name.text.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }, "\(name)")
                let again = try? FileName(parsing: name.text)
                try require(
                    again.map { $0.text.utf8.elementsEqual(name.text.utf8) } ?? false, "\(name) is read otherwise")
            }),
        FuzzedParser(
            "disposition",
            text: { text in
                // Names of earlier versions, too, and what a catalog could hold.
                let value = contentDisposition(FileName(trusted: text))
                try require(value.hasPrefix("attachment; filename=\""), value)
                try require(value.utf8.allSatisfy { (0x20..<0x7F).contains($0) }, value)
            }),
        FuzzedParser(
            "relative-path",
            text: { text in
                guard let path = try? RelativePath(parsing: text) else { return }
                let segments = path.text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
                try require(
                    segments.allSatisfy { !$0.isEmpty && !$0.elementsEqual("..".utf8) }, "\(path) leads elsewhere")
            }),
    ]
}
