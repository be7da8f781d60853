// SIGINT and SIGTERM: running transfers are put in order first.

import Dispatch
import Glibc
import Synchronization

/// What happens when the person, or the system, wants the program to end.
enum Interruption {
    private struct State {
        var signal: CInt?
        var cancel: (@Sendable () -> Void)?
    }

    private static let state = Mutex(State())

    /// The sources of the signals, once somebody has asked for them.
    private static let sources: Mutex<[any DispatchSourceSignal]> = {
        let queue = DispatchQueue(label: "signals")
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { came(number, queue) }
            source.resume()
            return source
        }
        return Mutex(sources)
    }()

    /// How long putting things in order may take.
    private static let patience = DispatchTimeInterval.seconds(3)

    /// 130 or 143 after a signal.
    static var exitCode: CInt? { state.withLock { $0.signal.map { 128 + $0 } } }

    /// Watches for the signals until the process ends.
    static func watch() {
        // A closed pipe or connection is an error of the call that meets it.
        signal(SIGPIPE, SIG_IGN)
        sources.withLock { _ in }
    }

    /// Runs work that has to put things in order at its end: the first signal cancels it, the second ends the process.
    static func cancelling<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value
    {
        let task = Task { try await body() }
        state.withLock { $0.cancel = { task.cancel() } }
        defer { state.withLock { $0.cancel = nil } }
        return try await task.value
    }

    private static func came(_ number: CInt, _ queue: DispatchQueue) {
        let cancel = state.withLock { state in
            defer { state.signal = number }
            return state.signal == nil ? state.cancel : nil
        }
        guard let cancel else { endNow(number) }
        cancel()
        queue.asyncAfter(deadline: .now() + patience) { endNow(number) }
    }

    private static func endNow(_ number: CInt) -> Never {
        Terminal.showInput()
        _exit(128 + number)
    }
}
