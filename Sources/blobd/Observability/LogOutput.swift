// Where the log's lines go, without anybody waiting for them.

import Dispatch
import Glibc
import Logging
import Synchronization

/// A descriptor that takes whole lines from any thread.
///
/// Lines are collected and written by one thread, which alone waits when nobody reads them. Lines that do not fit by
/// then are counted and lost: a log that cannot be written is no reason to stop serving.
final class LogOutput: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var lostCount = 0
        /// Whether the writer is at work or about to be.
        var isDue = false
    }

    private let descriptor: CInt
    private let format: LogFormat
    private let capacity: Int
    private let state = Mutex(State())
    private let writer = DispatchQueue(label: "blobd.log")

    /// Lines of a busy server are written several at a time: waking a thread for each would cost more than the line.
    private static let delay = DispatchTimeInterval.milliseconds(5)

    /// - Parameter capacity: bytes that may wait to be written.
    init(_ descriptor: CInt, format: LogFormat, capacity: Int = 1024 * 1024) {
        self.descriptor = descriptor
        self.format = format
        self.capacity = capacity
    }

    /// Takes a line; never waits.
    @Sendable func write(_ line: [UInt8]) {
        let wakes = state.withLock { state in
            if state.bytes.count + line.count <= capacity { state.bytes += line } else { state.lostCount += 1 }
            defer { state.isDue = true }
            return !state.isDue
        }
        if wakes { writer.asyncAfter(deadline: .now() + Self.delay) { self.writeAll() } }
    }

    /// Returns when everything so far is written, or after two seconds in which nobody took it.
    func drain() {
        let written = DispatchSemaphore(value: 0)
        writer.async {
            self.writeAll()
            written.signal()
        }
        _ = written.wait(timeout: .now() + .seconds(2))
    }

    private func writeAll() {
        while let bytes = take() { put(bytes) }
    }

    /// The lines that wait to be written; `nil` when there are none.
    private func take() -> [UInt8]? {
        let (bytes, lostCount) = state.withLock { state in
            let taken = (state.bytes, state.lostCount)
            state.bytes = []
            state.lostCount = 0
            state.isDue = !taken.0.isEmpty || taken.1 > 0
            return taken
        }
        guard lostCount > 0 else { return bytes.isEmpty ? nil : bytes }
        let entry = LogEntry(
            time: .now, level: .warning, message: "\(lostCount) lines of the log were lost", metadata: []
        )
        return bytes + entry.line(format)
    }

    private func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // Another program that shares the descriptor has set it so.
                    var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&room, 1, -1)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}
