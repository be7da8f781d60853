// The output of a program for the person or script that runs it.

import SystemPackage

public enum Console {
    /// Lets what follows take the place of a terminal's last line.
    public static let lineStart = "\r\u{1B}[K"

    /// Puts lines on standard output, which carries results alone, at once.
    ///
    /// - Throws: when they cannot be written: the caller must not believe that the result was told.
    public static func tell(_ text: String, ending: String = "\n") throws(OutputFailure) {
        do {
            try FileDescriptor.standardOutput.writeAll((text + ending).utf8)
        } catch {
            throw OutputFailure(reason: "\(error)")
        }
    }

    /// Puts a problem on standard error.
    public static func complain(_ problem: String, as program: String) {
        remark("\(program): \(problem)")
    }

    /// Puts text that belongs to no result on standard error, as it is.
    public static func remark(_ text: String) {
        // When nobody listens any more, there is no one to tell either.
        _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8)
    }
}

/// Why a result did not come out, such as for a full disk.
public struct OutputFailure: Error, Equatable, CustomStringConvertible {
    let reason: String

    /// - Parameter reason: the system's words.
    public init(reason: String) { self.reason = reason }

    public var description: String { "standard output cannot be written to: \(reason)" }
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
