// Whether trying to connect makes sense now.

import BlobCore
import Logging
import Synchronization

/// Waits longer and longer between tries to reach a server that is away; meanwhile nobody has to wait for it.
final class Availability: Sendable {
    private struct State {
        var failures = 0
        var retryAt = ContinuousClock.now
        /// Whether one is trying again already, for all.
        var isProbing = false
        var message = ""
    }

    private static let backoff = Backoff(first: .milliseconds(100), longest: .seconds(5))

    private let state = Mutex(State())
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    /// Whether connecting is refused now.
    var isAway: Bool {
        state.withLock { Self.refuses($0) }
    }

    /// Connects, unless the server is known to be away.
    func connect<Connection>(
        _ body: () throws(PostgresError) -> Connection
    ) throws(PostgresError) -> Connection {
        let refusal: PostgresError? = state.withLock { state in
            if Self.refuses(state) { return PostgresError(.unreachable, state.message) }
            if state.failures > 0 { state.isProbing = true }
            return nil
        }
        if let refusal { throw refusal }
        do {
            let connection = try body()
            let wasAway = state.withLock { state in
                defer { state = State() }
                return state.failures > 0
            }
            if wasAway { logger.notice("The database can be reached again") }
            return connection
        } catch {
            failed(error)
            throw error
        }
    }

    /// Notes that the server is not to be used now.
    func failed(_ error: PostgresError) {
        let isFirst = state.withLock { state in
            // Those that tried at the same time as the first count as one.
            guard state.failures == 0 || state.isProbing else { return false }
            state.failures += 1
            state.retryAt = .now + Self.backoff.pause(afterFailures: state.failures)
            state.isProbing = false
            state.message = error.message
            return state.failures == 1
        }
        if isFirst { logger.error("The database cannot be reached", metadata: ["error": "\(error.message)"]) }
    }

    private static func refuses(_ state: State) -> Bool {
        state.failures > 0 && (state.isProbing || ContinuousClock.now < state.retryAt)
    }
}
