// What a program says to the person or script that runs it.

import SystemPackage

public enum Console {
    /// Lets what follows take the place of a terminal's last line.
    public static let lineStart = "\r\u{1B}[K"

    /// Puts lines on standard output, which carries only what was asked for, at once.
    public static func tell(_ text: String, ending: String = "\n") {
        write(text + ending, to: .standardOutput)
    }

    /// Puts a problem on standard error.
    public static func complain(_ problem: String, as program: String) {
        write("\(program): \(problem)\n", to: .standardError)
    }

    private static func write(_ text: String, to descriptor: FileDescriptor) {
        // Nobody listens any more: there is no one to tell either.
        _ = try? descriptor.writeAll(text.utf8)
    }
}

/// Rows of text with their columns aligned, two spaces apart.
public func alignedTable(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
        let cells = row.enumerated().map { column, cell in
            // The last cell ends its line, so nothing follows it.
            column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] + 2 - cell.count)
        }
        return cells.joined()
    }.joined(separator: "\n")
}

/// A number of bytes for people, such as `1.5 GiB`.
public func sizeText(_ bytes: Int64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    var (value, unit) = (Double(bytes), 0)
    while value >= 1024 && unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    let number = unit == 0 || value >= 100 ? String(Int64(value)) : String((value * 10).rounded() / 10)
    return "\(number) \(units[unit])"
}
