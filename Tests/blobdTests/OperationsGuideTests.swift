// The operations guide agrees with the program.

import Foundation
import Testing

@testable import blobd

struct OperationsGuideTests {
    private let guide: String

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        guide = try String(contentsOf: root.appending(path: "docs/operations.md"), encoding: .utf8)
    }

    /// The rows that the guide must hold, word for word; print them to bring it up to date.
    @Test func settings() {
        let rows = Setting.allCases.map { setting in
            let row = setting.row
            let placeholder = row.placeholder.replacing("|", with: "\\|")
            return
                "| `\(setting.rawValue)` | \(placeholder) | \(row.standard.map { "`\($0)`" } ?? "") | \(row.summary) |"
        }
        #expect(guide.contains(rows.joined(separator: "\n")), "the table must be:\n\(rows.joined(separator: "\n"))")
    }

    @Test(arguments: MetricHelp.texts.keys.sorted())
    func metrics(name: String) {
        #expect(guide.contains("`\(name)`") || guide.contains("`\(name){"))
    }
}
