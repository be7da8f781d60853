// Cursors as text: a written one is read, and nothing else is.

import BlobCore
import BlobStorage
import Foundation
import Testing

@Suite struct FileCursorTests {
    private static let ids: [Int64] = [0, 1, 700_551_909_773_148_160, .max]

    private static let places: [FileCursor.Place] =
        ["a", " ", "تقرير 100%", "🧾", "\u{202E}gpj.exe", String(repeating: "x", count: 255)].map {
            .name(FileName(trusted: $0))
        }
        + [0, 1, -1, .max, .min].flatMap { [.size($0), .created(Timestamp(milliseconds: $0))] }

    @Test(arguments: places, [false, true])
    func isReadAsItWasWritten(place: FileCursor.Place, isDescending: Bool) throws {
        for id in Self.ids {
            let cursor = FileCursor(
                place: place, id: try #require(FileID(value: id)), isDescending: isDescending)
            let text = cursor.description
            #expect(text.wholeMatch(of: /[A-Za-z0-9_-]{1,356}/) != nil, "\(text)")
            #expect(FileCursor(parsing: text) == cursor)
        }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static let id: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 7]

    private static let good = text([1, 2] + id + id)

    @Test(arguments: [
        "", "a", "null", "0", good + "=", good + "A", String(good.dropLast()), " " + good, good + "\n", good + "é",
        text([]), text([1]), text([1, 2]), text([1, 2] + id), text([1, 2] + id + [1]), text([1, 2] + id + id + [0]),
        // Another version, an order that does not exist, a negative id.
        text([0, 2] + id + id), text([2, 2] + id + id), text([1, 0] + id + id), text([1, 4] + id + id),
        text([1, 2, 255] + id.dropFirst() + id),
        // No name of a file.
        text([1, 1] + id), text([1, 1] + id + [0]), text([1, 1] + id + [0xFF]), text([1, 1] + id + Array("a/b".utf8)),
        text([1, 1] + id + Array("..".utf8)), text([1, 1] + id + Array(repeating: 0x61, count: 256)),
        String(repeating: "A", count: 1_000_000),
    ])
    func refuses(text: String) {
        #expect(FileCursor(parsing: text) == nil)
    }

    @Test func refusesAnythingElse() {
        #expect(FileCursor(parsing: Self.good)?.description == Self.good)
        // Any bytes are read as written or refused, and none trap.
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...40)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            if bytes.count > 1 { (bytes[0], bytes[1]) = (1, bytes[1] & 0x83) }
            let text = Self.text(bytes)
            if let cursor = FileCursor(parsing: text) { #expect(cursor.description == text) }
        }
    }
}
