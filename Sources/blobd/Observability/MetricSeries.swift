// One series of a metric: how it counts and how it is shown.

import Metrics
import Synchronization

/// The word on the TYPE line.
enum MetricKind: String, Sendable {
    case counter, gauge, histogram
}

/// A metric with fixed labels.
protocol MetricSeries: AnyObject, Sendable {
    static var kind: MetricKind { get }

    /// Appends the lines of the series; `labels` is `KEY="VALUE",…` without braces.
    func render(name: String, labels: String, into text: inout String)
}

/// A number that only grows.
final class CounterSeries: MetricSeries, CounterHandler {
    static let kind = MetricKind.counter

    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() { value.store(0, ordering: .relaxed) }

    func render(name: String, labels: String, into text: inout String) {
        MetricText.append(name, labels, String(value.load(ordering: .relaxed)), to: &text)
    }
}

/// A number that keeps the value that it was last set to.
final class GaugeSeries: MetricSeries, MeterHandler, RecorderHandler {
    static let kind = MetricKind.gauge

    /// The bits of a `Double`.
    private let bits = Atomic<UInt64>(0)

    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func record(_ value: Int64) { set(value) }

    func record(_ value: Double) { set(value) }

    func increment(by amount: Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: current) + amount).bitPattern
            let (isDone, found) = bits.weakCompareExchange(expected: current, desired: next, ordering: .relaxed)
            if isDone { return }
            current = found
        }
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func render(name: String, labels: String, into text: inout String) {
        let value = Double(bitPattern: bits.load(ordering: .relaxed))
        MetricText.append(name, labels, MetricText.number(value), to: &text)
    }
}

/// How often values were at most so large.
final class HistogramSeries: MetricSeries, TimerHandler, RecorderHandler {
    static let kind = MetricKind.histogram

    /// Bounds for durations, in seconds: from an answer out of the page cache to a large upload.
    static let seconds = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    private struct State {
        /// For each bound, and for all above the last, the number of values that are in no smaller one.
        var counts: [Int64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(max(0, duration)) / 1e9) }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] &+= 1
            state.sum += value
        }
    }

    func render(name: String, labels: String, into text: inout String) {
        let state = state.withLock { $0 }
        let separator = labels.isEmpty ? "" : ","
        var count: Int64 = 0
        for (bound, held) in zip(bounds, state.counts) {
            count &+= held
            let labels = "\(labels)\(separator)le=\"\(MetricText.number(bound))\""
            MetricText.append("\(name)_bucket", labels, String(count), to: &text)
        }
        count &+= state.counts[bounds.count]
        MetricText.append("\(name)_bucket", "\(labels)\(separator)le=\"+Inf\"", String(count), to: &text)
        MetricText.append("\(name)_sum", labels, MetricText.number(state.sum), to: &text)
        MetricText.append("\(name)_count", labels, String(count), to: &text)
    }
}

/// How names, labels and numbers are written.
enum MetricText {
    static func append(_ name: String, _ labels: String, _ value: String, to text: inout String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// A name with every character that the format does not take made an underscore.
    static func name(_ text: String, allowingColon: Bool) -> String {
        var name = String(
            text.map { character in
                let isTaken = character.isASCII && (character.isLetter || character.isNumber || character == "_")
                return isTaken || (allowingColon && character == ":") ? character : "_"
            })
        if name.first.map(\.isNumber) ?? true { name = "_" + name }
        return name
    }

    /// Labels in the order of their names, so that the same ones are the same text.
    static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.map { (name($0.0, allowingColon: false), $0.1) }.sorted { $0.0 < $1.0 }
            .map { "\($0.0)=\"\(escaped($0.1))\"" }.joined(separator: ",")
    }

    private static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 < 0x20 })
        else { return value }
        return value.replacing("\\", with: #"\\"#).replacing("\"", with: #"\""#).replacing("\n", with: #"\n"#)
    }

    /// A whole number without a fraction, another one with as many digits as it takes.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map { String($0) } ?? String(value)
    }
}
