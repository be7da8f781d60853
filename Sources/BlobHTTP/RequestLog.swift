// A line in the log for each request, and the metrics of all.

import BlobCore
import BlobStorage
import HTTPServerCore
import HTTPTypes
public import Logging
import Metrics
import Synchronization

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

    func record(_ request: EndedRequest) {
        let kind = kind(of: request)
        kind.count.increment()
        kind.duration.record(duration: request.duration)
        received.increment(by: request.bytesIn)
        sent.increment(by: request.bytesOut)
        // The server's own failures an operator has to know of, whatever else is logged.
        let level: Logger.Level = request.record.failure?.isServers == true ? .error : .info
        guard logger.logLevel <= level else { return }
        logger.log(level: level, "request", metadata: metadata(of: request))
    }

    private func metadata(of request: EndedRequest) -> Logger.Metadata {
        let record = request.record
        var metadata = record.metadata
        metadata["route"] = .string(record.operation ?? Self.unknownOperation)
        metadata["status"] = .stringConvertible(request.status.code)
        metadata["in"] = .stringConvertible(request.bytesIn)
        metadata["out"] = .stringConvertible(request.bytesOut)
        metadata["ms"] = .stringConvertible((request.duration / .milliseconds(1) * 100).rounded() / 100)
        metadata["request"] = .string(record.id)
        if let method = record.method {
            metadata["method"] = .string(method.rawValue)
            metadata["path"] = .string(String(decoding: record.path.utf8.prefix(Self.longestPath), as: UTF8.self))
        }
        if let peer = record.peer {
            metadata["peer"] = .string(peer.text)
            if let client = record.client, client != peer.address { metadata["client"] = .stringConvertible(client) }
        }
        if let failure = record.failure {
            metadata["code"] = .string(failure.code)
            if failure.isServers { metadata["error"] = .string(failure.message) }
        }
        if !request.isComplete { metadata["aborted"] = "true" }
        return metadata
    }

    /// The name for requests that ask for no operation.
    private static let unknownOperation = "unknown"

    /// In bytes. Longer than the path of any route; what a client makes up beyond it says nothing.
    private static let longestPath = 256

    private func kind(of request: EndedRequest) -> Instruments {
        // Methods are the client's to invent; only known ones may become labels.
        let known = request.record.method.flatMap { method in Router.methods.first { $0 == method }?.rawValue }
        let key = Key(
            method: known ?? "other", route: request.record.operation ?? Self.unknownOperation,
            status: request.status.code
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

extension RequestRecord {
    /// Notes the file that was made or removed.
    func note(_ file: File) {
        note("file", "\(file.id)")
        note("name", file.name.text)
        note("digest", "\(file.digest)")
        note("size", file.size)
    }
}
