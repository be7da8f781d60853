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
        try await storage.whileOpen {
            let log = try settings.auditLog.map { name throws(OperatorError) in
                try AuditFile.opened(name, output: STDOUT_FILENO, logger: logger, makeRoom: storage.makeRoom)
            }
            try await whileOpen(closing: { await log?.close() }) { try await serve(storage, log) }
        }
    }

    private func serve(_ storage: Storage, _ auditLog: AuditFile?) async throws {
        let (catalog, clock) = (storage.backend.catalog, storage.clock)
        let tls = try TLSMaterial(settings, protocols: HTTPServer.applicationProtocols, logger: logger)
        let firstToken = try await firstToken(catalog: catalog, clock: clock, auditLog)
        let audit = auditLog.map { Audit($0) }
        // Before anybody is told that the server is ready, and may send one.
        let hangUps = auditLog == nil ? nil : await UnixSignalsSequence(trapping: .sighup)

        let serverSurface = Server(
            catalog: catalog, bytes: storage.backend.bytes, at: settings.publicAddress,
            isReadOnly: settings.isReadOnly, renderMetrics: renderMetrics
        )
        let chain = Chain(
            [
                try await portSIPBlobs(storage),
                Files(FileService(catalog: catalog, blobs: storage.blobs), at: settings.publicAddress), serverSurface,
            ],
            at: settings.publicAddress, authenticator: try await authenticator(storage),
            isReadOnly: settings.isReadOnly,
            limits: RateLimits(
                perSubject: settings.rateLimit, perAddress: settings.rateLimitPerAddress, clock: clock),
            origins: settings.corsOrigins, log: RequestLog(logger: logger), audit: audit
        )
        let isReady = Atomic(false)
        let server = HTTPServer(
            configuration: try serverConfiguration(tls), responder: chain, group: MultiThreadedEventLoopGroup.singleton,
            threads: storage.threads, logger: logger
        ) { address in
            isReady.store(true, ordering: .relaxed)
            let text = welcome(on: address, tls: tls, firstToken: firstToken).text
            // There, records are the result.
            guard settings.auditLog != "-" else { return Console.remark(text) }
            do {
                try Console.tell(text)
            } catch {
                // The server was asked to serve; where standard output goes is no reason to stop.
                logger.warning("the address was not told", metadata: ["error": "\(error)"])
            }
        }
        OpenFileLimit.whenShort { storage.blobs.forgetAll() }
        OpenFileLimit.whenShort { server.closeOldestIdleConnection() }
        do {
            var chores = storage.chores + [Chore(interval: .seconds(5)) { await serverSurface.look() }]
            if let audit { chores.append(Chore(interval: .seconds(10)) { await audit.tellRefusals() }) }
            let rotation = auditLog.flatMap { log in hangUps.map { AuditRotation(log: log, signals: $0) } }
            try await group(server, storage, tls, rotation, chores: chores).run()
            await audit?.tellRefusals(isLast: true)
        } catch is CancellationError {
            logger.warning("stopped before every request was over")
        } catch {
            guard !isReady.load(ordering: .relaxed) else { throw error }
            throw OperatorError(listening: error, on: settings.listen)
        }
    }

    /// The help about tokens for a newcomer. Nodes that share their tokens make none by themselves: each would have
    /// nowhere to put it.
    private func firstToken(
        catalog: any Catalog, clock: any WallClock, _ auditLog: AuditFile?
    ) async throws -> Welcome.FirstToken? {
        switch settings.storage {
        case .local:
            try await AdminToken.prepare(in: settings.data, catalog: catalog, clock: clock, auditLog: auditLog)
                .map { .file($0) }
        case .cloud:
            try await catalog.tokens().isEmpty ? .missing : nil
        }
    }

    private func authenticator(_ storage: Storage) async throws -> Authenticator {
        let signedTokens = try await settings.signIn?.signedTokens(clock: storage.clock, logger: logger)
        return Authenticator(catalog: storage.backend.catalog, clock: storage.clock, signedTokens: signedTokens)
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
            ),
            at: settings.publicAddress
        )
    }

    private var uploadSettings: UploadSettings {
        UploadSettings(
            maximumBlobSize: settings.maxBlobSize, maximumOpenUploads: settings.maxOpenUploads, quota: settings.quota,
            uploadLifetime: settings.uploadExpiry, temporaryLifetime: settings.temporaryExpiry
        )
    }

    private func serverConfiguration(_ tls: TLSMaterial?) throws -> HTTPServer.Configuration {
        HTTPServer.Configuration(
            host: settings.listen.host, port: settings.listen.port, tls: tls?.configuration,
            timeouts: ConnectionTimeouts(
                header: TimeAmount(settings.headerTimeout), body: TimeAmount(settings.bodyTimeout),
                send: TimeAmount(settings.sendTimeout), idle: TimeAmount(settings.idleTimeout)
            ),
            shutdownTimeout: TimeAmount(settings.shutdownTimeout),
            maxConnections: try maxConnections(), maxConnectionsPerAddress: settings.maxConnectionsPerAddress,
            trustedProxies: TrustedProxies(settings.trustedProxies), readsProxyHeaders: settings.readsProxyHeaders,
            obstacle: { OpenFileLimit.obstacleForConnection }, advice: OpenFileLimit.advice
        )
    }

    private func maxConnections() throws -> Int {
        let most = OpenFileLimit.mostConnections
        guard let wanted = settings.maxConnections else { return most }
        guard wanted <= most else {
            throw OperatorError(
                "max-connections: with \(wanted) of them no files would be left for blobs; give at most \(most), or "
                    + "raise LimitNOFILE= in its systemd unit, or 'ulimit -Hn' where it is started"
            )
        }
        return wanted
    }

    /// The last service is the first to be told to stop: the listener, while the others go on.
    private func group(
        _ server: HTTPServer, _ storage: Storage, _ tls: TLSMaterial?, _ rotation: AuditRotation?, chores: [Chore]
    ) -> ServiceGroup {
        let upkeep = Upkeep(
            reclaimer: settings.isReadOnly ? nil : storage.reclaimer, reclaimInterval: settings.reclaimInterval,
            verifier: storage.verifier,
            scrubInterval: settings.scrubInterval, scrubRate: settings.scrubRate, chores: chores,
            logger: logger
        )
        var services: [any Service] = [upkeep]
        if let tls { services.append(tls.reloader) }
        if let rotation { services.append(rotation) }
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
            publicURL: settings.publicAddress.url,
            selfSignedCertificate: settings.transport == .selfSigned ? tls?.certificatePath : nil,
            firstToken: firstToken, isSecure: tls != nil
        )
    }
}
