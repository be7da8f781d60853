// The server, put together from its parts. Only this file knows which backend is used.

import BlobCore
import BlobHTTP
import BlobStorage
import Foundation
import LocalBackend
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import SystemPackage
import UnixSignals

/// One server on the embedded backend.
struct Assembly {
    let settings: Settings
    let renderMetrics: @Sendable () -> String
    let logger: Logger

    /// Opens the data, serves until SIGTERM or SIGINT, and closes the data again.
    func serve() async throws {
        let directory = try DataDirectory(serving: FilePath(settings.data))
        let tls = try TLSMaterial(settings, protocols: HTTPServer.applicationProtocols, logger: logger)
        let clock = SystemClock()
        let catalog = try LocalCatalog(path: directory.catalog.string, clock: clock, logger: logger)
        let threads = NIOThreadPool(numberOfThreads: max(8, 4 * System.coreCount))
        threads.start()
        let bytes = LocalByteStore(
            directory: directory, threads: threads, freeSpaceFloor: settings.minFreeSpace, logger: logger
        )
        let blobs = BlobService(catalog: catalog, bytes: bytes)
        let locks = BlobLocks()
        let reclaimer = Reclaimer(
            catalog: catalog, bytes: bytes, blobs: blobs, locks: locks, grace: settings.reclaimGrace, logger: logger
        )
        let adminToken = try await AdminToken.prepare(in: settings.data, catalog: catalog, clock: clock)

        let api = API(
            uploads: UploadService(
                catalog: catalog, bytes: bytes, blobs: blobs, locks: locks, settings: uploadSettings, clock: clock
            ),
            blobs: blobs,
            files: FileService(catalog: catalog, blobs: blobs),
            authenticator: Authenticator(catalog: catalog, clock: clock),
            uploadTokens: UploadTokens(secret: try await catalog.secret()),
            server: ServerRoutes(catalog: catalog, bytes: bytes, renderMetrics: renderMetrics),
            log: RequestLog(logger: logger),
            policy: DownloadPolicy(
                isPrivate: settings.privateDownloads,
                crossOriginResourcePolicy: settings.crossOriginResourcePolicy.rawValue, clock: clock
            )
        )
        let isReady = Atomic(false)
        let server = HTTPServer(
            configuration: serverConfiguration(tls), api: api, group: MultiThreadedEventLoopGroup.singleton,
            threads: threads, logger: logger
        ) { address in
            isReady.store(true, ordering: .relaxed)
            Console.tell(welcome(on: address, tls: tls, adminToken: adminToken).text)
        }
        do {
            try await group(server, reclaimer, tls).run()
        } catch is CancellationError {
            logger.warning("stopped before every request was over")
        } catch {
            guard !isReady.load(ordering: .relaxed) else { throw error }
            throw StartFailure("cannot listen on \(settings.listen): \(Self.reason(error))")
        }
        await catalog.close()
        try await threads.shutdownGracefully()
        // Its lock must outlast whatever writes.
        withExtendedLifetime(directory) {}
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: Errno(rawValue: error.errnoCode).description
        case is SocketAddressError.UnknownHost: "no machine of this name is known"
        default: "\(error)"
        }
    }

    private var uploadSettings: UploadSettings {
        UploadSettings(
            maximumBlobSize: settings.maxBlobSize, maximumOpenUploads: settings.maxOpenUploads, quota: settings.quota,
            uploadLifetime: settings.uploadExpiry, temporaryLifetime: settings.temporaryExpiry
        )
    }

    private func serverConfiguration(_ tls: TLSMaterial?) -> HTTPServer.Configuration {
        HTTPServer.Configuration(
            host: settings.listen.host, port: settings.listen.port, tls: tls?.configuration,
            timeouts: ConnectionTimeouts(
                header: TimeAmount(settings.headerTimeout), body: TimeAmount(settings.bodyTimeout),
                idle: TimeAmount(settings.idleTimeout)
            ),
            shutdownTimeout: TimeAmount(settings.shutdownTimeout)
        )
    }

    /// The last service is the first to be told to stop: the listener, while the others go on.
    private func group(_ server: HTTPServer, _ reclaimer: Reclaimer, _ tls: TLSMaterial?) -> ServiceGroup {
        var services: [any Service] = [ReclaimerService(reclaimer: reclaimer, interval: settings.reclaimInterval)]
        if let tls { services.append(tls.reloader) }
        services.append(server)
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
        )
        // A little more than the listener takes for itself, for what is left to do after it.
        configuration.maximumGracefulShutdownDuration = settings.shutdownTimeout + .seconds(5)
        return ServiceGroup(configuration: configuration)
    }

    private func welcome(on address: SocketAddress, tls: TLSMaterial?, adminToken: String?) -> Welcome {
        Welcome(
            address: ListenAddress(host: settings.listen.host, port: address.port ?? settings.listen.port),
            selfSignedCertificate: settings.transport == .selfSigned ? tls?.certificatePath : nil,
            adminToken: adminToken, isSecure: tls != nil
        )
    }
}

/// Reclaims until the server stops.
private struct ReclaimerService: Service {
    let reclaimer: Reclaimer
    let interval: Duration

    func run() async throws {
        try? await cancelWhenGracefulShutdown { try await reclaimer.run(every: interval) }
    }
}

/// Runs `body` with the catalog of a data directory, beside a server that may be running on it.
func visitCatalog<Value: Sendable>(
    in data: String, _ body: (any Catalog) async throws -> Value
) async throws -> Value {
    let path = DataDirectory.catalog(in: FilePath(data)).string
    guard FileManager.default.fileExists(atPath: path) else {
        throw StartFailure(
            "\(data) is no data directory of blobd: start 'blobd serve --data \(data)' first, or correct --data")
    }
    let catalog = try LocalCatalog(path: path, role: .visitor, clock: SystemClock())
    do {
        let value = try await body(catalog)
        await catalog.close()
        return value
    } catch {
        await catalog.close()
        throw error
    }
}
