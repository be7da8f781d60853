// The server, put together from its parts.

import BlobCore
import BlobHTTP
import BlobStorage
import Foundation
import HTTPServerCore
import LocalBackend
import Logging
import NIOCore
import NIOPosix
import Program
import ServiceLifecycle
import Synchronization
import SystemPackage
import UnixSignals

/// One server.
struct Assembly {
    let settings: Settings
    let renderMetrics: @Sendable () -> String
    let logger: Logger

    /// Opens the data, serves until SIGTERM or SIGINT, and closes the data again.
    func serve() async throws {
        if let objection = settings.namedFiles.compactMap(\.objection).first { throw OperatorError(objection) }
        let storage = try await Storage.opened(settings, logger: logger)
        try await storage.whileOpen { try await serve(storage) }
    }

    private func serve(_ storage: Storage) async throws {
        let (catalog, clock) = (storage.backend.catalog, storage.clock)
        let tls = try TLSMaterial(settings, protocols: HTTPServer.applicationProtocols, logger: logger)
        let firstToken = try await firstToken(catalog: catalog, clock: clock)

        let serverSurface = Server(catalog: catalog, bytes: storage.backend.bytes, renderMetrics: renderMetrics)
        let chain = Chain(
            [
                try await portSIPBlobs(storage), Files(FileService(catalog: catalog, blobs: storage.blobs)),
                serverSurface,
            ],
            authenticator: Authenticator(catalog: catalog, clock: clock), isReadOnly: settings.isReadOnly,
            log: RequestLog(logger: logger)
        )
        let isReady = Atomic(false)
        let server = HTTPServer(
            configuration: serverConfiguration(tls), responder: chain, group: MultiThreadedEventLoopGroup.singleton,
            threads: storage.threads, logger: logger
        ) { address in
            isReady.store(true, ordering: .relaxed)
            do {
                try Console.tell(welcome(on: address, tls: tls, firstToken: firstToken).text)
            } catch {
                // The server was asked to serve; where standard output goes is no reason to stop.
                logger.warning("the address was not told", metadata: ["error": "\(error)"])
            }
        }
        do {
            let look = Chore(interval: .seconds(5)) { await serverSurface.look() }
            try await group(server, storage, tls, chores: storage.chores + [look]).run()
        } catch is CancellationError {
            logger.warning("stopped before every request was over")
        } catch {
            guard !isReady.load(ordering: .relaxed) else { throw error }
            throw OperatorError(listening: error, on: settings.listen)
        }
    }

    /// The help about tokens for a newcomer. Nodes that share their tokens make none by themselves: each would have
    /// nowhere to put it.
    private func firstToken(catalog: any Catalog, clock: any WallClock) async throws -> Welcome.FirstToken? {
        switch settings.storage {
        case .local:
            try await AdminToken.prepare(in: settings.data, catalog: catalog, clock: clock).map { .file($0) }
        case .cloud:
            try await catalog.tokens().isEmpty ? .missing : nil
        }
    }

    private func portSIPBlobs(_ storage: Storage) async throws -> PortSIPBlobs {
        PortSIPBlobs(
            uploads: UploadService(
                backend: storage.backend, blobs: storage.blobs, settings: uploadSettings, clock: storage.clock
            ),
            blobs: storage.blobs,
            uploadTokens: UploadTokens(secret: try await storage.backend.catalog.secret()),
            downloads: DownloadPolicy(
                isPrivate: settings.privateDownloads,
                crossOriginResourcePolicy: settings.crossOriginResourcePolicy.rawValue,
                redirects: settings.redirectDownloads, clock: storage.clock
            )
        )
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
                send: TimeAmount(settings.sendTimeout), idle: TimeAmount(settings.idleTimeout)
            ),
            shutdownTimeout: TimeAmount(settings.shutdownTimeout),
            obstacle: { OpenFileLimit.obstacleForConnection }, advice: OpenFileLimit.advice
        )
    }

    /// The last service is the first to be told to stop: the listener, while the others go on.
    private func group(
        _ server: HTTPServer, _ storage: Storage, _ tls: TLSMaterial?, chores: [Chore]
    ) -> ServiceGroup {
        let upkeep = Upkeep(
            reclaimer: settings.isReadOnly ? nil : storage.reclaimer, reclaimInterval: settings.reclaimInterval,
            verifier: storage.verifier,
            scrubInterval: settings.scrubInterval, scrubRate: settings.scrubRate, chores: chores,
            logger: logger
        )
        var services: [any Service] = [upkeep]
        if let tls { services.append(tls.reloader) }
        services.append(server)
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
        )
        // A little more than the listener takes for itself, for the steps that follow it.
        configuration.maximumGracefulShutdownDuration = settings.shutdownTimeout + .seconds(5)
        return ServiceGroup(configuration: configuration)
    }

    private func welcome(on address: SocketAddress, tls: TLSMaterial?, firstToken: Welcome.FirstToken?) -> Welcome {
        Welcome(
            address: ListenAddress(host: settings.listen.host, port: address.port ?? settings.listen.port),
            selfSignedCertificate: settings.transport == .selfSigned ? tls?.certificatePath : nil,
            firstToken: firstToken, isSecure: tls != nil
        )
    }
}
