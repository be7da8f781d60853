// What is told about each request after it: a line in the log, and the metrics.

import BlobCore
import BlobStorage
import HTTPTypes
public import Logging
import Metrics
import NIOCore
import Synchronization

/// A request that is over.
struct FinishedRequest {
    let answer: Response
    /// `nil` for bytes that are no request.
    let request: Request?
    let id: String
    /// The other end's address and port.
    let peer: String?
    let bytesIn: Int64
    let duration: Duration
    /// Whether the whole answer went out.
    let isComplete: Bool

    init(
        _ answer: Response, to request: Request?, id: String, peer: String?, bytesIn: Int64,
        since start: ContinuousClock.Instant, isComplete: Bool
    ) {
        self.answer = answer
        self.request = request
        self.id = id
        self.peer = peer
        self.bytesIn = bytesIn
        duration = start.duration(to: .now)
        self.isComplete = isComplete
    }

    var bytesOut: Int64 { isComplete ? answer.body.size : 0 }

    /// The server's own failures, which an operator has to know of whatever else is logged.
    var isServerFailure: Bool { answer.status.kind == .serverError || answer.error?.code == .uploadFailed }
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

    func record(_ finished: FinishedRequest) {
        let kind = kind(of: finished)
        kind.count.increment()
        kind.duration.record(duration: finished.duration)
        received.increment(by: finished.bytesIn)
        sent.increment(by: finished.bytesOut)
        let level: Logger.Level = finished.isServerFailure ? .error : .info
        guard logger.logLevel <= level else { return }
        logger.log(level: level, "request", metadata: metadata(of: finished))
    }

    private func metadata(of finished: FinishedRequest) -> Logger.Metadata {
        let answer = finished.answer
        var metadata: Logger.Metadata = [
            "route": .string(answer.route), "status": .stringConvertible(answer.status.code),
            "in": .stringConvertible(finished.bytesIn), "out": .stringConvertible(finished.bytesOut),
            "ms": .stringConvertible((finished.duration / .milliseconds(1) * 100).rounded() / 100),
            "request": .string(finished.id),
        ]
        if let request = finished.request {
            metadata["method"] = .string(request.method.rawValue)
            metadata["path"] = .string(String(decoding: request.path.utf8.prefix(Self.longestPath), as: UTF8.self))
        }
        if let peer = finished.peer { metadata["peer"] = .string(peer) }
        if let subject = answer.subject { metadata["subject"] = "\(subject)" }
        if let file = answer.file {
            metadata["file"] = "\(file.id)"
            metadata["name"] = .string(file.name.text)
            metadata["digest"] = "\(file.digest)"
            metadata["size"] = .stringConvertible(file.size)
        }
        if let error = answer.error {
            metadata["code"] = .string(error.code.name)
            if finished.isServerFailure { metadata["error"] = .string(error.message) }
        }
        if !finished.isComplete { metadata["aborted"] = "true" }
        return metadata
    }

    /// In bytes. Longer than the path of any route; what a client makes up beyond it says nothing.
    private static let longestPath = 256

    private func kind(of finished: FinishedRequest) -> Instruments {
        // Methods are the client's to invent; only known ones may become labels.
        let known = finished.request.map(\.method).flatMap { Route.methods.contains($0) ? $0.rawValue : nil }
        let key = Key(
            method: known ?? "other", route: finished.answer.route, status: finished.answer.status.code
        )
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

extension SocketAddress {
    /// The address and port as URLs write them; `nil` for a socket of the file system.
    var peerName: String? {
        guard let ipAddress, let port else { return nil }
        return self.protocol == .inet6 ? "[\(ipAddress)]:\(port)" : "\(ipAddress):\(port)"
    }
}
