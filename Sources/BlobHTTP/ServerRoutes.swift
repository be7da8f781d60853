// The routes about the server itself.

import BlobCore
public import BlobStorage
import HTTPTypes
import Metrics
import NIOCore

/// Tells whether the server lives, whether it can serve, and what it counts.
public struct ServerRoutes: Sendable {
    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let renderMetrics: @Sendable () -> String
    private let gauges = StoreGauges()

    /// - Parameter renderMetrics: all metrics of the process, in the text format of Prometheus.
    public init(catalog: any Catalog, bytes: any ByteStore, renderMetrics: @escaping @Sendable () -> String) {
        self.catalog = catalog
        self.bytes = bytes
        self.renderMetrics = renderMetrics
    }

    func health() -> Response { .text("ok\n") }

    /// 200 when both stores can be reached and written, 503 when not.
    func ready() async -> Response {
        do throws(BlobError) {
            try await bytes.checkReadiness()
            try await catalog.checkReadiness()
            return .text("ready\n")
        } catch {
            return Response(
                BlobError(
                    .unavailable, "The server cannot serve now: \(error.message)", detail: .retryAfter(seconds: 10))
            )
        }
    }

    func metrics() async -> Response {
        // What cannot be asked now keeps its last value: a scrape must not fail because a disk does.
        if let statistics = try? await catalog.statistics() { gauges.record(statistics) }
        if let free = try? await bytes.availableBytes() { gauges.diskFree.record(free) }
        return .text(renderMetrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    }

    func openAPI() -> Response {
        Response(
            .ok, fields: [.contentType: "application/json"],
            body: .buffer(ByteBuffer(bytes: PackageResources.openapi_json))
        )
    }
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

extension Response {
    fileprivate static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        Response(
            .ok, fields: [.contentType: type, .cacheControl: "no-store"], body: .buffer(ByteBuffer(string: text))
        )
    }
}
