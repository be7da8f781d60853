// Calls as a whole: tried again after failures that may pass, within bounds, and not at all while the store does not
// answer.

import Foundation
import Logging
import NIOHTTP1
import Synchronization

/// The state that all calls to one bucket share.
final class Calls: Sendable {
    let configuration: S3Configuration
    let transport: Transport
    private let circuit: Mutex<Circuit>
    private let logger: Logger

    init(
        _ configuration: S3Configuration, logger: Logger, clock: @escaping @Sendable () -> Date
    ) throws(S3Error) {
        self.configuration = configuration
        self.logger = logger
        transport = try Transport(configuration, clock: clock)
        circuit = Mutex(Circuit(configuration.circuitBreaking))
    }

    /// Sends a request until there is a reply that is no error, and reads it.
    ///
    /// - Parameter read: reads the reply. A call is tried again after its errors as after any other.
    func send<Value: Sendable>(
        _ request: S3Request, read: (S3Reply) throws(S3Error) -> Value
    ) async throws(S3Error) -> Value {
        try await perform(request) { (limit) async throws(S3Error) -> Value in
            try read(await transport.exchange(request, within: limit))
        }
    }

    /// Tries until it works, the error will not pass, the bounds are reached, or the store no longer answers.
    ///
    /// - Parameter attempt: is told how long it may take.
    func perform<Value: Sendable>(
        _ request: S3Request, _ attempt: (Duration) async throws(S3Error) -> Value
    ) async throws(S3Error) -> Value {
        var schedule = RetrySchedule(configuration.retries, from: .now)
        while true {
            let pass = try admit()
            do throws(S3Error) {
                let limit = min(configuration.callTimeout, schedule.end - .now)
                return try await once(pass) { () async throws(S3Error) -> Value in try await attempt(limit) }
            } catch {
                try await pause(after: error, request, &schedule)
            }
        }
    }

    /// Waits after a failure that may pass.
    ///
    /// - Throws: the error when it will not pass or came too often or too late; `cancelled` in a cancelled task.
    func pause(after error: S3Error, _ request: S3Request, _ schedule: inout RetrySchedule) async throws(S3Error) {
        guard error.isRetryable, let pause = schedule.pause(at: .now, chance: .random(in: 0...1)) else { throw error }
        logger.debug(
            "trying again", metadata: ["request": "\(request.summary)", "error": "\(error)", "pause": "\(pause)"])
        do {
            try await Task.sleep(for: pause)
        } catch {
            throw .cancelled
        }
    }

    /// Tries once, and tells the circuit the outcome.
    func once<Value: Sendable>(
        _ pass: Circuit.Pass, _ attempt: () async throws(S3Error) -> Value
    ) async throws(S3Error) -> Value {
        do throws(S3Error) {
            let value = try await attempt()
            settle(pass, .answered, nil)
            return value
        } catch {
            settle(pass, error.outcome, error)
            throw error
        }
    }

    /// - Throws: ``S3Error`` of the kind `unreachable` while the store is not asked, `cancelled` in a cancelled task.
    func admit() throws(S3Error) -> Circuit.Pass {
        if Task.isCancelled { throw .cancelled }
        guard let pass = circuit.withLock({ $0.admit(at: .now) }) else {
            throw S3Error(.unreachable, message: "the store did not answer the last times, and is asked again soon")
        }
        return pass
    }

    var isRefusing: Bool { circuit.withLock { $0.refuses(at: .now) } }

    /// For a try that is made whatever happened before.
    func admitAlways() -> Circuit.Pass {
        circuit.withLock { $0.admit(at: .now) } ?? Circuit.Pass(isProbe: false)
    }

    private func settle(_ pass: Circuit.Pass, _ outcome: Circuit.Outcome, _ error: S3Error?) {
        let (changed, isOpen) = circuit.withLock { ($0.settle(pass, outcome, at: .now), $0.isOpen) }
        guard changed else { return }
        if isOpen {
            logger.warning("the store does not answer", metadata: ["error": "\(error?.description ?? "")"])
        } else {
            logger.notice("the store answers again")
        }
    }
}

extension S3Error {
    /// Its meaning for the store.
    fileprivate var outcome: Circuit.Outcome {
        switch kind {
        case .unreachable, .serverError, .timeout: status.map { $0 >= 500 } ?? true ? .failed : .answered
        case .cancelled, .throttled, .untrusted: .unknown
        default: .answered
        }
    }
}

extension S3Request {
    /// For the log.
    fileprivate var summary: String {
        let query = query.map { $0.value.isEmpty ? $0.name : "\($0.name)=\($0.value)" }.joined(separator: "&")
        return "\(method.rawValue) \(key ?? "")" + (query.isEmpty ? "" : "?\(query)")
    }
}
