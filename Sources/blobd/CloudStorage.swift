// The backend of many nodes, put together: objects in S3, rows in PostgreSQL.

import BlobCore
import BlobStorage
import CloudBackend
import Foundation
import Logging
import NIOPosix
import PostgresPool
import S3Client

/// A database and a bucket, opened for one of any number of processes.
struct CloudStorage {
    let backend: BucketBackend
    private let pool: PostgresPool
    private let bucket: S3Bucket

    /// - Parameter preparation: the changes that may be made to the database's tables.
    /// - Throws: when either cannot be reached, or the database's contents cannot be used.
    init(_ settings: CloudSettings, by preparation: CloudCatalog.Preparation, logger: Logger) async throws {
        let pool = try PostgresPool(settings.database, logger: logger)
        do {
            try await CloudCatalog.prepare(pool, by: preparation, logger: logger)
            bucket = try S3Bucket(S3Configuration(settings), logger: logger)
        } catch {
            await pool.close()
            throw (error as? S3Error).map { OperatorError("the bucket: \($0.message)") } ?? error
        }
        self.pool = pool
        backend = BucketBackend(
            catalog: CloudCatalog(pool: pool, logger: logger),
            bytes: CloudByteStore(
                pool: pool, bucket: bucket,
                retention: .init(restoreWindow: settings.restoreWindow, longestUpload: settings.uploadExpiry),
                logger: logger
            )
        )
    }

    func clock(logger: Logger) async throws(BlobError) -> DatabaseClock {
        try await DatabaseClock(pool: pool, logger: logger)
    }

    func close() async {
        await bucket.shutdown()
        await pool.close()
    }
}

extension Storage {
    /// The data that a database and a bucket hold, for one of any number of processes.
    ///
    /// - Parameter preparation: the changes that may be made to the database's tables.
    /// - Throws: when either cannot be reached, or the database's contents cannot be used yet.
    static func cloud(
        _ settings: CloudSettings, by preparation: CloudCatalog.Preparation = .looking, grace: Duration, logger: Logger
    ) async throws -> Storage {
        let cloud = try await CloudStorage(settings, by: preparation, logger: logger)
        do {
            try await cloud.backend.catalog.checkImportIsOver()
            let clock = try await cloud.clock(logger: logger)
            return Storage(
                backend: cloud.backend, clock: clock, threads: .singleton, grace: grace, logger: logger,
                chores: [
                    Chore(interval: .seconds(60)) { () throws(BlobError) in try await clock.synchronize() },
                    Chore(interval: .seconds(10)) { () throws(BlobError) in
                        try await cloud.backend.bytes.composeLargeBlobs()
                    },
                ],
                closing: { await cloud.close() }
            )
        } catch {
            await cloud.close()
            throw error
        }
    }
}

/// Runs `body` with the catalog of a database, beside the nodes that may be running on it. The bucket is not asked for.
func visitCatalog<Value: Sendable>(
    in settings: DatabaseSettings, by preparation: CloudCatalog.Preparation, _ body: (any Catalog) async throws -> Value
) async throws -> Value {
    let logger = Logger(label: "blobd")
    let pool = try PostgresPool(settings, logger: logger)
    return try await whileOpen(closing: { await pool.close() }) {
        try await CloudCatalog.prepare(pool, by: preparation, logger: logger)
        let catalog = CloudCatalog(pool: pool, logger: logger)
        try await catalog.checkImportIsOver()
        return try await body(catalog)
    }
}

extension PostgresPool {
    fileprivate convenience init(_ settings: DatabaseSettings, logger: Logger) throws(PostgresError) {
        var options = Settings()
        options.usesPreparedStatements = settings.preparedStatements
        try self.init(url: settings.url, connections: settings.connections, settings: options, logger: logger)
    }
}

extension S3Configuration {
    init(_ settings: CloudSettings) {
        let endpoint = settings.endpoint?.absoluteString ?? "https://s3.\(settings.region).amazonaws.com"
        self.init(
            endpoint: endpoint, region: settings.region, bucket: settings.bucket,
            credentials: Credentials(
                accessKey: settings.accessKey, secretKey: settings.secretKey, sessionToken: settings.sessionToken
            )
        )
        addressing =
            switch settings.addressing {
            case .path: .path
            case .virtualHost: .virtualHost
            // A dot in its name would be one too many for Amazon's certificate.
            case .auto: settings.endpoint == nil && !settings.bucket.contains(".") ? .virtualHost : .path
            }
        certificateAuthority = settings.certificateAuthority
        // A client is better told soon to come back than kept waiting.
        connectTimeout = .seconds(3)
        retries.tries = 4
        retries.totalTime = .seconds(60)
        circuitBreaking.failures = 5
        // Uploads are bounded by memory, each with several segments under way, and downloads by their clients: neither
        // must wait for the other's connections.
        connectionLimit = 1024
    }
}
