// What is told about each request after it: a line in the log, and the metrics.

import BlobCore
import HTTPTypes
public import Logging
import Metrics
import NIOCore
import Synchronization

/// A request that is over.
struct FinishedRequest {
    let method: HTTPRequest.Method
    let id: String
    let route: String
    let status: Int
    let subject: Subject?
    let bytesIn: Int64
    let bytesOut: Int64
    let duration: Duration
    /// Whether the whole answer went out.
    let isComplete: Bool
}

/// Writes the access log and counts requests.
public final class RequestLog: Sendable {
    private struct Key: Hashable {
        let method: String
        let route: String
        let status: Int
    }

    /// Handles to the metrics of one kind of request: making them anew for each would cost more than using them.
    private struct Instruments {
        let count: Counter
        let duration: Timer
    }

    private let logger: Logger
    private let received = Counter(label: "blobd_http_received_bytes_total")
    private let sent = Counter(label: "blobd_http_sent_bytes_total")
    private let instruments = Mutex<[Key: Instruments]>([:])

    public init(logger: Logger) {
        self.logger = logger
    }

    func record(_ request: FinishedRequest) {
        let kind = kind(of: request)
        kind.count.increment()
        kind.duration.recordNanoseconds(request.duration.nanoseconds)
        received.increment(by: request.bytesIn)
        sent.increment(by: request.bytesOut)
        guard logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "method": .string(request.method.rawValue), "route": .string(request.route),
            "status": .stringConvertible(request.status), "in": .stringConvertible(request.bytesIn),
            "out": .stringConvertible(request.bytesOut),
            "ms": .stringConvertible(Double(request.duration.nanoseconds / 10_000) / 100),
            "request": .string(request.id),
        ]
        if let subject = request.subject { metadata["subject"] = "\(subject)" }
        if !request.isComplete { metadata["aborted"] = "true" }
        logger.info("request", metadata: metadata)
    }

    private func kind(of request: FinishedRequest) -> Instruments {
        // Methods are the client's to invent; only known ones may become labels.
        let method = Route.methods.contains(request.method) ? request.method.rawValue : "other"
        let key = Key(method: method, route: request.route, status: request.status)
        return instruments.withLock { instruments in
            if let known = instruments[key] { return known }
            let status = ("status", String(key.status))
            let made = Instruments(
                count: Counter(
                    label: "blobd_http_requests_total",
                    dimensions: [("method", key.method), ("route", key.route), status]
                ),
                duration: Timer(
                    label: "blobd_http_request_duration_seconds", dimensions: [("route", key.route), status]
                )
            )
            instruments[key] = made
            return made
        }
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
