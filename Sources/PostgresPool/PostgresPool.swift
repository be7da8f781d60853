// A bounded pool of connections to a PostgreSQL server, on threads of its own.

public import Logging

/// Runs statements on a few connections, each of which has a thread.
///
/// Connections are made when they are needed, kept, and closed when nobody needed them for some minutes. While the
/// server is away, calls fail at once, and one of them tries again now and then. No call blocks its caller's thread,
/// and none ends early when the caller's task is cancelled.
public final class PostgresPool: Sendable {
    public struct Settings: Sendable {
        /// How long connecting to one address of the server may take; whole seconds, at least 2.
        public var connectTimeout = Duration.seconds(5)
        /// How long a statement may run when its call says nothing else.
        public var statementTimeout = Duration.seconds(10)
        /// How long a call waits for a connection.
        public var waitLimit = Duration.seconds(5)
        /// How many calls may wait for a connection.
        public var queueLimit = 4096
        /// How long a connection stays that nobody needs.
        public var idleLimit = Duration.seconds(300)
        /// Whether the server keeps statements between calls. Poolers that give each statement another server may not
        /// allow it.
        public var usesPreparedStatements = true

        public init() {}
    }

    private let settings: Settings
    private let queue: CallQueue

    /// Connects to nothing yet.
    ///
    /// - Parameters:
    ///   - url: as libpq reads it, with its settings of TLS.
    ///   - connections: how many statements run at one time.
    /// - Throws: ``PostgresError/Kind/invalidURL``.
    public init(
        url: String, connections: Int = 16, settings: Settings = Settings(),
        logger: Logger = Logger(label: "blobd.postgres")
    ) throws(PostgresError) {
        let opener = ConnectionOpener(
            target: try ConnectionTarget(url: url, connectTimeout: settings.connectTimeout),
            preparesStatements: settings.usesPreparedStatements, availability: Availability(logger: logger)
        )
        self.settings = settings
        queue = CallQueue(
            opener: opener, connections: max(1, connections), limit: settings.queueLimit, idleLimit: settings.idleLimit
        )
    }

    deinit {
        queue.close()
    }

    /// Runs one statement, which is committed when this returns.
    ///
    /// A statement that other transactions were in the way of is tried a few times, since it changed nothing.
    /// - Parameters:
    ///   - isRepeatable: whether running it twice does no harm. It is tried again when the connection is lost while it
    ///     runs; without that, it fails with ``PostgresError/Kind/connectionLost``.
    ///   - timeout: how long it may run, each time.
    public func query(
        _ sql: String, _ parameters: [PostgresValue] = [], isRepeatable: Bool = false, timeout: Duration? = nil
    ) async throws(PostgresError) -> [PostgresRow] {
        let statement = PostgresStatement(
            sql: sql, parameters: EncodedParameters(parameters), timeout: timeout ?? settings.statementTimeout,
            isRepeatable: isRepeatable
        )
        return try await perform { worker throws(PostgresError) in try worker.run(statement) }
    }

    /// Runs several statements in one transaction, on a thread that nobody else uses meanwhile. For changes of the
    /// tables; everything else is better one statement.
    ///
    /// - Parameter timeout: how long each statement may run.
    public func transaction<Value: Sendable>(
        timeout: Duration? = nil,
        _ body: @escaping @Sendable (PostgresTransaction) throws(PostgresError) -> Value
    ) async throws(PostgresError) -> Value {
        let timeout = timeout ?? settings.statementTimeout
        return try await perform { worker throws(PostgresError) in
            try worker.transaction { connection throws(PostgresError) in
                try body(PostgresTransaction(connection: connection, timeout: timeout))
            }
        }
    }

    /// Lets the calls that were made before finish, then closes the connections. Calls after it fail.
    public func close() async {
        await withCheckedContinuation { continuation in
            queue.close { continuation.resume() }
        }
    }

    private func perform<Value: Sendable>(
        _ body: @escaping @Sendable (ConnectionWorker) throws(PostgresError) -> Value
    ) async throws(PostgresError) -> Value {
        let waitLimit = settings.waitLimit
        let result: Result<Value, PostgresError> = await withCheckedContinuation { continuation in
            queue.add(
                Call(
                    deadline: .now + waitLimit,
                    run: { worker throws(NoConnection) in
                        do throws(PostgresError) {
                            let value = try body(worker)
                            continuation.resume(returning: .success(value))
                        } catch {
                            if !worker.hasConnected { throw NoConnection(error: error) }
                            continuation.resume(returning: .failure(error))
                        }
                    },
                    fail: { continuation.resume(returning: .failure($0)) }
                )
            )
        }
        return try result.get()
    }
}

/// A transaction that is open on a connection.
public struct PostgresTransaction {
    private let connection: PostgresConnection
    private let timeout: Duration

    init(connection: PostgresConnection, timeout: Duration) {
        self.connection = connection
        self.timeout = timeout
    }

    public func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> [PostgresRow] {
        try connection.run(
            PostgresStatement(
                sql: sql, parameters: EncodedParameters(parameters), timeout: timeout, isRepeatable: false
            )
        )
    }

    /// Runs statements that are separated by semicolons.
    public func runScript(_ sql: String) throws(PostgresError) {
        try connection.runScript(sql, timeout: timeout)
    }
}
