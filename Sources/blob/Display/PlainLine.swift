// The lines that tell about transfers where nothing can be drawn, and those that stay on a terminal.

import BlobClient
import Program

enum PlainLine {
    /// - Parameter isDrawn: whether the lines of a terminal show how far things are.
    static func text(_ event: TransferEvent, _ label: String, isDrawn: Bool) -> String? {
        let name = DisplayText.safe(label)
        switch event {
        case .moved, .reading: return nil
        case .began(let offset, let size):
            if offset > 0 {
                return "\(name): goes on at \(sizeText(offset))" + (size.map { " of \(sizeText($0))" } ?? "")
            }
            return isDrawn ? nil : "\(name): begins" + (size.map { ", \(sizeText($0))" } ?? "")
        case .retrying(let error, let pause):
            return isDrawn ? nil : "\(name): tries again in \(seconds(pause)): \(DisplayText.safe(error.description))"
        case .startingOver(let reason): return "\(name): begins anew: \(reason.text)"
        }
    }

    static func progress(_ row: TransferBoard.Row, at now: Duration) -> String {
        let line = ProgressLine(
            label: row.label, offset: row.offset, size: row.size, rate: row.rate.rate(at: now), remark: row.remark)
        if let remark = row.remark { return "\(DisplayText.safe(row.label)): \(DisplayText.safe(remark))" }
        var parts = [sizeText(row.offset) + (row.size.map { " of \(sizeText($0))" } ?? "")]
        if line.rate != nil { parts.append(ProgressLine.rateText(line.rate)) }
        if let left = line.left { parts.append("\(DisplayText.time(left)) left") }
        return "\(DisplayText.safe(row.label)): " + parts.joined(separator: ", ")
    }

    private static let shortestPath = 14

    /// A program gets all. A person gets the digest once, without the URL, which names it again, and as much of the
    /// path as the terminal has room for: a line of 80 columns takes 14 columns of it.
    static func result(_ result: TransferResult, columns: Int?) -> String {
        let (digest, rest) = (DisplayText.safe(result.digest), result.rest.map { DisplayText.safe($0) })
        guard let columns, let path = rest.last else { return ([digest] + rest).joined(separator: "  ") }
        let room = max(shortestPath, columns - DisplayText.width(digest) - 2)
        return digest + "  " + (DisplayText.width(path) <= room ? path : DisplayText.fitted(path, to: room))
    }

    static func ended(_ label: String, _ result: TransferResult, took: Duration?) -> String {
        let name = DisplayText.safe(label)
        if result.wasThere { return "\(name): is there already" }
        let size = result.size.map { ", \(sizeText($0))" } ?? ""
        return "\(name): done\(size)" + (took.map { " in \(seconds($0))" } ?? "")
    }

    static func summary(_ summary: TransferReporter.Summary, bytes: Int64, took: Duration) -> String {
        var parts = ["\(summary.succeeded) \(summary.succeeded == 1 ? "file" : "files") done"]
        if summary.failed > 0 { parts.append("\(summary.failed) failed") }
        if summary.interrupted > 0 { parts.append("\(summary.interrupted) interrupted") }
        let rate = ProgressLine.rateText(Double(bytes) / max(took / .seconds(1), 0.001))
        return parts.joined(separator: ", ") + "; \(sizeText(bytes)) in \(seconds(took)), \(rate)"
    }

    private static func seconds(_ duration: Duration) -> String {
        if duration >= .seconds(60) { return DisplayText.time(duration) }
        return "\((duration / .milliseconds(100)).rounded() / 10) s"
    }
}

extension ReportedEvent {
    init(_ result: TransferResult, path: String) {
        self.init(result.wasThere ? .skipped : .done, path: path)
        (digest, size) = (result.digest, result.size)
        (url, id, name) = (result.file?.url, result.file?.id, result.file?.name)
    }

    init(_ summary: TransferReporter.Summary, bytes: Int64, took: Duration) {
        self.init(.finished)
        (succeeded, failed, self.bytes) = (summary.succeeded, summary.failed, bytes)
        (interrupted, seconds) = (summary.interrupted, (took / .milliseconds(1)).rounded() / 1000)
    }
}
