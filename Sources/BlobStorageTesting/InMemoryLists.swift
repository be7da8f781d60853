// What a list of files holds, and in which order: for the model of a catalog.

import BlobCore
import BlobStorage

extension FileQuery {
    func matches(_ file: File) -> Bool {
        guard owner == nil || owner == file.owner else { return false }
        guard let search, !search.isEmpty else { return true }
        return [file.name.text, file.path?.text ?? ""].contains { text in
            Self.foldingASCII(text).contains(Self.foldingASCII(search))
        }
    }

    /// The bytes of a text, with capital ASCII letters made small.
    private static func foldingASCII(_ text: String) -> [UInt8] {
        text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }
}

extension FileCursor {
    /// Whether it comes first in a list. Both are places of one order.
    func isBefore(_ other: FileCursor) -> Bool {
        let (first, second) = isDescending ? (other, self) : (self, other)
        switch (first.place, second.place) {
        case (.name(let left), .name(let right)) where !left.text.utf8.elementsEqual(right.text.utf8):
            return left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
        case (.size(let left), .size(let right)) where left != right: return left < right
        case (.created(let left), .created(let right)) where left != right: return left < right
        default: return first.id < second.id
        }
    }
}
