// The numbers of the server in the text format of Prometheus, version 0.0.4.

import Metrics
import Synchronization

/// Keeps metrics and renders them.
///
/// Making a handler takes a lock and builds the text of its labels, so callers keep the handlers they use often;
/// counting and recording then cost an atomic operation or the lock of that one series.
final class PrometheusMetrics: MetricsFactory {
    private struct Family {
        let kind: MetricKind
        /// By the text of their labels.
        var series: [String: any MetricSeries] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    private let help: [String: String]

    /// - Parameter help: the meanings of metrics, by name.
    init(help: [String: String] = MetricHelp.texts) {
        self.help = help
    }

    /// All metrics, in the order of their names, each after its HELP and TYPE lines.
    func render() -> String {
        let families = families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            if let help = help[name] {
                text += "# HELP \(name) \(help.replacing("\\", with: #"\\"#).replacing("\n", with: #"\n"#))\n"
            }
            text += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.render(name: name, labels: labels, into: &text)
            }
        }
        return text
    }

    /// The series of these labels, made on first use. A name that is taken by another kind of metric yields a series
    /// that counts and is never shown: a scrape with one name of two kinds would be refused whole.
    private func series<Series: MetricSeries>(
        _ label: String, _ dimensions: [(String, String)], make: () -> Series
    ) -> Series {
        let name = MetricText.name(label, allowingColon: true)
        let labels = MetricText.labels(dimensions)
        return families.withLock { families in
            if let family = families[name], family.kind != Series.kind { return make() }
            if let known = families[name]?.series[labels] as? Series { return known }
            let made = make()
            families[name, default: Family(kind: Series.kind)].series[labels] = made
            return made
        }
    }

    private func remove(_ handler: AnyObject) {
        families.withLock { families in
            families = families.mapValues { family in
                Family(kind: family.kind, series: family.series.filter { $0.value !== handler })
            }
        }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions) { CounterSeries() }
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions) { GaugeSeries() }
    }

    /// One that aggregates is a histogram without buckets, which tells the sum and the count; another is a gauge.
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate
            ? series(label, dimensions) { HistogramSeries(bounds: []) }
            : series(label, dimensions) { GaugeSeries() } as any RecorderHandler
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions) { HistogramSeries(bounds: HistogramSeries.seconds) }
    }

    func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
