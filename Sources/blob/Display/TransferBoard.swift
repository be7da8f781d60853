// How far everything is that is on its way, and the lines that show it. Nothing here knows the time or a terminal.

import BlobClient
import Program

/// How fast something moves, as of the last few seconds.
struct RateMeter {
    private var samples: [(time: Duration, position: Int64)] = []

    private static let span = Duration.seconds(5)
    private static let spacing = Duration.milliseconds(100)

    mutating func note(_ position: Int64, at now: Duration) {
        if let last = samples.last, position < last.position { samples = [] }
        if samples.count > 1, now - samples[samples.count - 2].time < Self.spacing {
            samples[samples.count - 1] = (now, position)
        } else {
            samples.append((now, position))
        }
        while samples.count > 2, now - samples[1].time > Self.span { samples.removeFirst() }
    }

    /// Bytes per second; `nil` before anything can be said.
    func rate(at now: Duration) -> Double? {
        guard let first = samples.first, let last = samples.last, samples.count > 1 else { return nil }
        let seconds = (max(now, last.time) - first.time) / .seconds(1)
        return seconds > 0.01 ? Double(last.position - first.position) / seconds : nil
    }
}

/// All transfers of one command. Times are counted from its start.
struct TransferBoard {
    struct Row {
        var label: String
        var offset: Int64 = 0
        var size: Int64?
        var rate = RateMeter()
        /// What happens instead of moving bytes.
        var remark: String?
        var started: Duration
        /// When a line about it was last written.
        var told: Duration
    }

    private(set) var rows: [Int: Row] = [:]
    private(set) var ended = 0
    /// Of all that has ended or is on its way: where it stands, and how many of these bytes this run moved.
    private var position: Int64 = 0
    private(set) var moved: Int64 = 0
    private var rate = RateMeter()
    /// How many files there are, and their bytes, once somebody has counted.
    var expected: (files: Int, bytes: Int64?)?

    private static let mostLines = 32

    mutating func start(_ id: Int, _ label: String, at now: Duration) {
        rows[id] = Row(label: label, started: now, told: now)
    }

    mutating func rename(_ id: Int, _ label: String) {
        rows[id]?.label = label
    }

    mutating func remark(_ remark: String?, on id: Int) {
        rows[id]?.remark = remark
    }

    mutating func note(_ event: TransferEvent, of id: Int, at now: Duration) {
        guard var row = rows[id] else { return }
        switch event {
        case .began(let offset, let size):
            position += offset - row.offset
            (row.offset, row.size, row.remark) = (offset, size, nil)
            row.rate.note(offset, at: now)
        case .reading(let position, let end):
            row.remark = "reading what was sent, \(position / max(1, end / 100)) %"
        case .moved(let offset):
            moved += offset - row.offset
            position += offset - row.offset
            (row.offset, row.remark) = (offset, nil)
            row.rate.note(offset, at: now)
        case .retrying(let error, let pause):
            row.remark = "again in \(DisplayText.time(pause)): \(error)"
        case .startingOver:
            position -= row.offset
            (row.offset, row.remark, row.rate) = (0, nil, RateMeter())
        }
        rows[id] = row
        rate.note(moved, at: now)
    }

    mutating func markTold(_ id: Int, at now: Duration) {
        rows[id]?.told = now
    }

    /// - Parameter isThere: whether its bytes are where they should be now, as the total counts them.
    mutating func end(_ id: Int, isThere: Bool, size: Int64? = nil) {
        guard let row = rows.removeValue(forKey: id) else { return }
        if isThere, let size = size ?? row.size { position += size - row.offset }
        ended += 1
    }

    // MARK: Lines

    /// The lines of a terminal: one for each file that is on its way, as far as there is room, and one for all.
    func lines(columns: Int, rows limit: Int, at now: Duration) -> [String] {
        let columns = max(1, columns - 1)
        let shown = rows.sorted { $0.key < $1.key }.map(\.value)
        let room = max(1, min(limit - 2, Self.mostLines))
        var lines = shown.prefix(room).map { row in
            ProgressLine(
                label: row.label, offset: row.offset, size: row.size, rate: row.rate.rate(at: now), remark: row.remark
            ).text(columns: columns)
        }
        if shown.count > room { lines.append(DisplayText.clipped("… and \(shown.count - room) more", to: columns)) }
        if expected?.files != 1 { lines.append(total(at: now).text(columns: columns)) }
        return lines
    }

    private func total(at now: Duration) -> ProgressLine {
        let count = expected.map { "\(ended) of \($0.files) files" } ?? "\(ended) files"
        return ProgressLine(
            label: count, offset: position, size: expected?.bytes, rate: rate.rate(at: now), remark: nil)
    }
}

/// One line about something that moves: its name, a bar, and numbers in columns of their own.
struct ProgressLine {
    var label: String
    var offset: Int64
    var size: Int64?
    var rate: Double?
    var remark: String?

    /// In bytes per second, for people.
    static func rateText(_ rate: Double?) -> String { rate.map { sizeText(Int64(max(0, $0))) + "/s" } ?? "" }

    /// The time that is left at this rate.
    var left: Duration? {
        guard let size, let rate, rate > 0 else { return nil }
        // A server may announce any size, and a duration has an end.
        return .seconds(min(Double(max(0, size - offset)) / rate, 1e9))
    }

    private var share: Double? { size.map { $0 > 0 ? min(1, max(0, Double(offset) / Double($0))) : 1 } }

    /// The line in at most `columns` columns.
    func text(columns: Int) -> String {
        if let remark {
            let name = min(DisplayText.width(label), max(8, columns / 3))
            let text = DisplayText.fitted(label, to: name) + "  " + DisplayText.safe(remark)
            return columns < 16 ? DisplayText.fitted(label, to: columns) : DisplayText.clipped(text, to: columns)
        }
        let percent = Self.right(share.map { "\(Int($0 * 100))%" } ?? "", 4)
        let bytes = Self.right(sizeText(offset) + (size.map { "/" + sizeText($0) } ?? ""), 21)
        let speed = Self.right(Self.rateText(rate), 11)
        let time = Self.right(left.map(DisplayText.time) ?? "", 7)
        let parts: [String] =
            switch columns {
            case 100...: [bar(columns: 22), percent, bytes, speed, time]
            case 72...: [bar(columns: 8), percent, bytes, speed, time]
            case 40...: [percent, speed, time]
            default: [percent]
            }
        let numbers = parts.joined(separator: " ")
        let room = columns - 1 - numbers.count
        guard room > 0 else { return DisplayText.fitted(label, to: columns) }
        return DisplayText.fitted(label, to: room) + " " + numbers
    }

    private func bar(columns: Int) -> String {
        guard let share else { return String(repeating: " ", count: columns) }
        let room = columns - 2
        let full = Int(share * Double(room))
        let tip = full < room ? ">" : ""
        return "[" + String(repeating: "=", count: full) + tip
            + String(repeating: " ", count: room - full - tip.count) + "]"
    }

    private static func right(_ text: String, _ columns: Int) -> String {
        String(repeating: " ", count: max(0, columns - text.count)) + text
    }
}
