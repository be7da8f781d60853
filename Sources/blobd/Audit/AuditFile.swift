// The audit log of the process: written by a thread of its own, many lines with one sync.

import BlobStorage
import Dispatch
import Logging
import Metrics
import ServiceLifecycle
import Synchronization
import SystemPackage
import UnixSignals

/// Keeps records in a file. Whoever adds one hears of it when it is durable, or cannot be kept now.
///
/// What cannot be written stays here, as far as it tells of changes that were made, and is tried again every second,
/// before anything else. Meanwhile no other record is taken.
final class AuditFile: AuditLog {
    private struct Waiting {
        let line: [UInt8]
        /// Whether it is kept where it cannot be written.
        let isChange: Bool
        let answer: @Sendable (Bool) -> Void
    }

    private struct State {
        var waiting: [Waiting] = []
        var isDraining = false
        var isReopening = false
        /// `nil` while records can be kept.
        var failure: Errno?
        /// Lines of changes that were made.
        var owed: [[UInt8]] = []
        /// The number of records that were not taken.
        var missed = 0
    }

    /// Bounds how long the first of those that share a sync waits for the last.
    private static let largestBatch = 512
    private static let pause = DispatchTimeInterval.seconds(1)

    private let state = Mutex(State())
    private let output: Mutex<AuditOutput>
    /// As the log tells it.
    private let name: String
    private let logger: Logger
    private let makeRoom: MakeRoom
    private let writer = DispatchQueue(label: "blobd.audit")
    private let writable = Gauge(label: "blobd_audit_log_writable")

    /// Makes some room on the disk of a file, for which there was none.
    ///
    /// - Returns: whether there is hope that there is some now.
    typealias MakeRoom = @Sendable (FilePath) -> Bool

    private init(
        _ output: consuming AuditOutput, name: String, logger: Logger, makeRoom: @escaping MakeRoom = { _ in false }
    ) {
        self.output = Mutex(output)
        (self.name, self.logger, self.makeRoom) = (name, logger, makeRoom)
        writable.record(1)
    }

    /// Opens the log that a setting names.
    ///
    /// - Parameters:
    ///   - output: the open descriptor that `-` stands for.
    ///   - makeRoom: asked once for lines that the disk has no room for, since deleting what is on it may need them.
    /// - Throws: when no line can be added to the file.
    static func opened(
        _ name: String, output: CInt, logger: Logger, makeRoom: @escaping MakeRoom = { _ in false }
    ) throws(OperatorError) -> AuditFile {
        guard name != "-" else {
            return AuditFile(AuditOutput(descriptor: output), name: "the output", logger: logger)
        }
        do throws(Errno) {
            return AuditFile(
                try AuditOutput(path: FilePath(name)), name: name, logger: logger, makeRoom: makeRoom)
        } catch {
            throw OperatorError(auditLog: name, error)
        }
    }

    var isWritable: Bool { state.withLock { $0.failure == nil } }

    func append(_ record: AuditRecord) async -> Bool {
        let line = record.line(at: .now)
        return await withCheckedContinuation { continuation in
            let waiting = Waiting(line: line, isChange: record.isChange) { continuation.resume(returning: $0) }
            let (isTaken, isIdle) = state.withLock { state in
                guard state.failure == nil else {
                    if record.isChange { state.owed.append(line) } else { state.missed += 1 }
                    return (false, false)
                }
                state.waiting.append(waiting)
                defer { state.isDraining = true }
                return (true, !state.isDraining)
            }
            if !isTaken { return continuation.resume(returning: false) }
            if isIdle { writer.async { self.drain() } }
        }
    }

    /// Goes on in the file that has the log's name now. Lines that were given before may be in either.
    func reopen() {
        let isIdle = state.withLock { state in
            state.isReopening = true
            defer { state.isDraining = true }
            return !state.isDraining
        }
        if isIdle { writer.async { self.drain() } }
    }

    /// Writes what is left, and closes the file. Lines that cannot be written go to the ordinary log: they are nowhere
    /// else.
    func close() async {
        await withCheckedContinuation { continuation in
            writer.async {
                self.drain()
                if !self.isWritable { self.tryAgain() }
                for line in self.state.withLock({ $0.owed }) {
                    self.logger.critical(
                        "a line of the audit log was not written",
                        metadata: ["line": "\(String(decoding: line.dropLast(), as: UTF8.self))"])
                }
                self.output.withLock { $0.close() }
                continuation.resume()
            }
        }
    }

    // MARK: On the writer's thread

    private func drain() {
        while true {
            let (batch, isReopening) = next()
            if isReopening { reopenNow() }
            guard !batch.isEmpty else {
                if isReopening { continue }
                return
            }
            write(batch)
        }
    }

    private func next() -> ([Waiting], isReopening: Bool) {
        state.withLock { state in
            defer { state.isReopening = false }
            let batch = Array(state.waiting.prefix(Self.largestBatch))
            state.waiting.removeFirst(batch.count)
            if batch.isEmpty && !state.isReopening { state.isDraining = false }
            return (batch, state.isReopening)
        }
    }

    private func write(_ batch: [Waiting]) {
        let (count, failure) = append(batch.map(\.line))
        for written in batch.prefix(count) { written.answer(true) }
        guard let failure else { return }
        let refused = state.withLock { state in
            let refused = batch.dropFirst(count) + state.waiting
            state.waiting = []
            state.failure = failure
            state.owed += refused.filter(\.isChange).map(\.line)
            state.missed += refused.filter { !$0.isChange }.count
            return refused
        }
        tell(failure)
        for waiting in refused { waiting.answer(false) }
        tryAgainLater()
    }

    private func append(_ lines: [[UInt8]]) -> (count: Int, error: Errno?) {
        output.withLock { output in
            let (count, failure) = output.append(lines)
            guard failure == .noSpace, let path = output.path, makeRoom(path) else { return (count, failure) }
            let rest = output.append(Array(lines.dropFirst(count)))
            return (count + rest.count, rest.error)
        }
    }

    private func tryAgainLater() {
        writer.asyncAfter(deadline: .now() + Self.pause) { [weak self] in
            guard let self, !self.isWritable else { return }
            self.tryAgain()
            if !self.isWritable { self.tryAgainLater() }
        }
    }

    private func tryAgain() {
        let (owed, missed) = state.withLock { ($0.owed, $0.missed) }
        let resumed = AuditRecord(.logResumed, [.count: .stringConvertible(missed)])
        let (count, failure) = append(owed + [resumed.line(at: .now)])
        let previous = state.withLock { state in
            let previous = state.failure
            // More may have come meanwhile.
            state.owed.removeFirst(min(count, owed.count))
            if failure == nil { state.missed -= missed }
            state.failure = state.owed.isEmpty ? failure : failure ?? previous
            return previous
        }
        if let failure {
            if failure != previous { tell(failure) }
        } else if isWritable {
            writable.record(1)
            logger.notice("the audit log can be written again", metadata: ["path": "\(name)"])
        }
    }

    private func reopenNow() {
        do throws(Errno) {
            try output.withLock { output throws(Errno) in try output.reopen() }
        } catch {
            logger.error(
                "the audit log cannot be opened again and goes on in the file that was there: see to its directory, then send SIGHUP",
                metadata: ["path": "\(name)", "error": "\(error)", "errno": .stringConvertible(error.rawValue)])
        }
    }

    private func tell(_ failure: Errno) {
        writable.record(0)
        logger.error(
            "the audit log cannot be written, and changes are refused until it can: see to its disk and its directory",
            metadata: ["path": "\(name)", "error": "\(failure)", "errno": .stringConvertible(failure.rawValue)])
    }
}

/// Opens the log again at every SIGHUP until the server stops: another program has moved its file.
struct AuditRotation: Service {
    let log: AuditFile
    let signals: UnixSignalsSequence

    func run() async {
        for await _ in signals.cancelOnGracefulShutdown() { log.reopen() }
    }
}

extension OperatorError {
    /// Why there is no audit log.
    init(auditLog path: String, _ error: Errno) {
        let reason = error == .invalidArgument ? "it is no file" : error.description
        self.init("audit-log: the file '\(path)' cannot be written: \(reason)")
    }
}
