// The text that a scrape of the metrics gets.

import Metrics
import Testing

@testable import blobd

struct PrometheusMetricsTests {
    @Test func countersAndGauges() {
        let metrics = PrometheusMetrics(help: ["requests_total": "Requests.\nA back\\slash.", "b_open": "Open."])
        let get = Counter(
            label: "requests_total", dimensions: [("status", "200"), ("method", "GET")], factory: metrics
        )
        get.increment()
        get.increment(by: 2)
        get.increment(by: -5)
        Counter(label: "requests_total", dimensions: [("method", "GET"), ("status", "200")], factory: metrics)
            .increment()
        Counter(label: "requests_total", dimensions: [("method", "PUT"), ("status", "404")], factory: metrics)
            .increment()
        let open = Meter(label: "b_open", factory: metrics)
        open.set(41)
        open.increment(by: 1.5)
        open.decrement(by: 0.25)
        Gauge(label: "a_bytes", factory: metrics).record(Int64(9_007_199_254_740_991))

        #expect(
            metrics.render() == #"""
                # TYPE a_bytes gauge
                a_bytes 9007199254740991
                # HELP b_open Open.
                # TYPE b_open gauge
                b_open 42.25
                # HELP requests_total Requests.\nA back\\slash.
                # TYPE requests_total counter
                requests_total{method="GET",status="200"} 4
                requests_total{method="PUT",status="404"} 1

                """#
        )
        get.reset()
        #expect(metrics.render().contains("{method=\"GET\",status=\"200\"} 0\n"))
    }

    @Test func timers() {
        let metrics = PrometheusMetrics()
        let timer = Timer(label: "t_seconds", dimensions: [("route", "/a")], factory: metrics)
        timer.recordNanoseconds(100_000)
        timer.recordNanoseconds(100_001)
        timer.recordSeconds(2)
        timer.recordSeconds(61)
        timer.recordNanoseconds(-1)
        let lines = metrics.render().split(separator: "\n")
        #expect(lines.first == "# TYPE t_seconds histogram")
        #expect(lines.count == 1 + HistogramSeries.seconds.count + 3)
        #expect(lines.contains(#"t_seconds_bucket{route="/a",le="0.0001"} 2"#))
        #expect(lines.contains(#"t_seconds_bucket{route="/a",le="0.00025"} 3"#))
        #expect(lines.contains(#"t_seconds_bucket{route="/a",le="1"} 3"#))
        #expect(lines.contains(#"t_seconds_bucket{route="/a",le="2.5"} 4"#))
        #expect(lines.contains(#"t_seconds_bucket{route="/a",le="60"} 4"#))
        #expect(lines.contains(#"t_seconds_bucket{route="/a",le="+Inf"} 5"#))
        #expect(lines.contains(#"t_seconds_count{route="/a"} 5"#))
        #expect(lines.contains { $0.hasPrefix(#"t_seconds_sum{route="/a"} 63.0002"#) })
    }

    @Test func recordersThatAggregate() {
        let metrics = PrometheusMetrics()
        let sizes = Recorder(label: "sizes", factory: metrics)
        sizes.record(1)
        sizes.record(2.5)
        sizes.record(Double.nan)
        #expect(
            metrics.render() == """
                # TYPE sizes histogram
                sizes_bucket{le="+Inf"} 2
                sizes_sum 3.5
                sizes_count 2

                """
        )
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\"b", #"a\"b"#), ("a\\b", #"a\\b"#), ("a\nb", #"a\nb"#), ("ü{},=", "ü{},="), ("", ""),
    ])
    func labelValues(value: String, written: String) {
        let metrics = PrometheusMetrics()
        Counter(label: "c", dimensions: [("k", value)], factory: metrics).increment()
        #expect(metrics.render() == "# TYPE c counter\nc{k=\"\(written)\"} 1\n")
    }

    @Test func namesOfOthers() {
        let metrics = PrometheusMetrics()
        Counter(label: "some.library:count-é", dimensions: [("a.b:c", "v"), ("0", "w")], factory: metrics).increment()
        #expect(
            metrics.render() == "# TYPE some_library:count__ counter\nsome_library:count__{_0=\"w\",a_b_c=\"v\"} 1\n")
    }

    @Test func oneNameOfTwoKinds() {
        let metrics = PrometheusMetrics()
        Counter(label: "x", factory: metrics).increment()
        Meter(label: "x", factory: metrics).set(7)
        #expect(metrics.render() == "# TYPE x counter\nx 1\n")
    }

    @Test func destroyedSeries() {
        let metrics = PrometheusMetrics()
        let counter = Counter(label: "x", factory: metrics)
        counter.increment()
        Counter(label: "y", factory: metrics).increment()
        counter.destroy()
        #expect(metrics.render() == "# TYPE y counter\ny 1\n")
    }

    @Test(arguments: [
        (0.0, "0"), (-1, "-1"), (0.5, "0.5"), (1e300, "1e+300"), (.nan, "NaN"), (.infinity, "+Inf"),
        (-.infinity, "-Inf"),
    ])
    func numbers(value: Double, written: String) {
        #expect(MetricText.number(value) == written)
    }

    @Test func countingFromManyTasks() async {
        let metrics = PrometheusMetrics()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        Counter(label: "c", factory: metrics).increment()
                        Meter(label: "g", factory: metrics).increment()
                        Timer(label: "t", factory: metrics).recordNanoseconds(1)
                    }
                }
            }
        }
        let lines = metrics.render().split(separator: "\n")
        #expect(lines.contains("c 8000"))
        #expect(lines.contains("g 8000"))
        #expect(lines.contains("t_count 8000"))
    }
}
