// The endpoints about the server itself.

import BlobCore
public import BlobStorage
import HTTPServerCore
import HTTPTypes
import Metrics
import NIOCore

/// Tells whether the server lives, whether it can serve, and its metrics: within a second, whatever the disk, the
/// bucket or the database do.
public struct Server: Surface {
    /// Why nothing may be added, `nil` when something may; or why nobody can be served.
    private let readiness: Probe<Result<BlobError.Shortage?, BlobError>>
    private let isReadOnly: Bool
    /// `nil` where they could not be had.
    private let statistics: Probe<Statistics?>
    private let freeBytes: Probe<Int64?>
    private let renderMetrics: @Sendable () -> String
    /// One for all who ask.
    private let description: ByteBuffer
    private let gauges = StoreGauges()

    /// How long the stores may be silent before the server is not ready any more. While many syncs of a slow disk wait
    /// for each other it works on for tens of seconds, and a restart would only make all wait again.
    private static let longestSilence = Duration.seconds(60)

    /// - Parameters:
    ///   - address: told by `/openapi.json`.
    ///   - isReadOnly: whether every change is refused.
    ///   - renderMetrics: all metrics of the process, in the text format of Prometheus.
    public init(
        catalog: any Catalog, bytes: any ByteStore, at address: PublicAddress = .untold, isReadOnly: Bool,
        renderMetrics: @escaping @Sendable () -> String
    ) {
        self.isReadOnly = isReadOnly
        readiness = Probe {
            do throws(BlobError) {
                try await bytes.checkReadiness()
                try await catalog.checkReadiness()
                return .success(try await bytes.shortage())
            } catch {
                return .failure(error)
            }
        }
        statistics = Probe { try? await catalog.statistics() }
        freeBytes = Probe { (try? await bytes.availableBytes()) ?? nil }
        self.renderMetrics = renderMetrics
        description = Self.description(at: address)
    }

    public var endpoints: [Endpoint] {
        [
            .open(.get, "/health", "health") { _, _ in .text("ok\n") }.unlimited(),
            .open(.get, "/ready", "ready", ready).unlimited(),
            .open(.get, "/metrics", "metrics", metrics),
            .open(.get, "/openapi.json", "openapi", openAPI),
        ]
    }

    /// 200 when both stores can be reached and written, 503 when not; and whether they may be added to. Where they do
    /// not say at once, as they last said.
    private func ready(_: Request, _: Captures) async throws(WireError) -> Response {
        guard let known = await readiness.known() else { throw .notReady("its storage has not answered yet.") }
        let shortage: BlobError.Shortage?
        switch known.answer {
        case .success(let found): shortage = found
        case .failure(let error): throw .notReady(WireError(error).message)
        }
        let silence = ContinuousClock.now - known.time
        guard silence <= Self.longestSilence else {
            throw .notReady("its storage has not answered for \(silence.components.seconds) s.")
        }
        let reason = isReadOnly ? "The server is read-only for now" : shortage?.words
        return .json(Readiness(writable: reason == nil, reason: reason))
    }

    /// Asks the stores whether they are ready, so that whoever asks next hears of the last seconds.
    public func look() async {
        _ = await readiness.known()
    }

    private func metrics(_: Request, _: Captures) async -> Response {
        // A metric that cannot be asked for now keeps its last value: a scrape must not fail because a disk does.
        async let (statistics, free) = (statistics.known()?.answer, freeBytes.known()?.answer)
        if let statistics = await statistics { gauges.record(statistics) }
        if let free = await free { gauges.diskFree.record(free) }
        return .text(renderMetrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    }

    /// `openapi.json` with the server's address, where that is known.
    private static func description(at address: PublicAddress) -> ByteBuffer {
        guard let url = address.url else { return ByteBuffer(bytes: PackageResources.openapi_json) }
        let parts = String(decoding: PackageResources.openapi_json, as: UTF8.self)
            .split(separator: #"{ "url": "/" }"#, maxSplits: 1)
        precondition(parts.count == 2, "openapi.json names its server in this form")
        // Nothing in the URL has to be escaped in JSON.
        return ByteBuffer(string: #"\#(parts[0]){ "url": "\#(url)" }\#(parts[1])"#)
    }

    private func openAPI(_: Request, _: Captures) -> Response {
        Response(.ok, fields: [.contentType: "application/json"], body: .buffer(description))
    }
}

/// The answer of a server that can serve.
private struct Readiness: Encodable {
    /// Whether uploads can be started, go on and be completed.
    let writable: Bool
    /// Left out where it is writable.
    let reason: String?
}

/// What the stores hold, as of the last look.
private struct StoreGauges: Sendable {
    let openUploads = Gauge(label: "blobd_uploads_open")
    let blobs = Gauge(label: "blobd_blobs")
    let files = Gauge(label: "blobd_files")
    let blobBytes = Gauge(label: "blobd_blob_bytes")
    let diskFree = Gauge(label: "blobd_disk_free_bytes")

    func record(_ statistics: Statistics) {
        openUploads.record(statistics.openUploads)
        blobs.record(statistics.blobs)
        files.record(statistics.files)
        blobBytes.record(statistics.blobBytes)
    }
}

extension WireError {
    fileprivate static func notReady(_ reason: String) -> WireError {
        WireError(.unavailable, "The server cannot serve now: \(reason)", detail: .retryAfter(seconds: 10))
    }
}

extension Response {
    fileprivate static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        Response(
            .ok, fields: [.contentType: type, .cacheControl: "no-store"], body: .buffer(ByteBuffer(string: text))
        )
    }
}
