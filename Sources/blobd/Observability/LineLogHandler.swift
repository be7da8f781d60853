// The log: one line for each event, on standard error.

import Glibc
import Logging
import Synchronization

/// Writes each event as one line of a ``LogFormat``.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let format: LogFormat
    private let write: @Sendable ([UInt8]) -> Void

    init(
        level: Logger.Level, format: LogFormat, metadataProvider: Logger.MetadataProvider? = nil,
        write: @escaping @Sendable ([UInt8]) -> Void = LogOutput.standardError.write
    ) {
        logLevel = level
        self.format = format
        self.metadataProvider = metadataProvider
        self.write = write
    }

    /// Makes this the log of the process. Once, before the first logger.
    static func bootstrap(level: Logger.Level, format: LogFormat) {
        LoggingSystem.bootstrap(
            { _, provider in LineLogHandler(level: level, format: format, metadataProvider: provider) },
            metadataProvider: nil
        )
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error { fields["error"] = .string("\(error)") }
        let entry = LogEntry(
            time: .now, level: event.level, message: event.message.description,
            metadata: fields.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
        )
        write(entry.line(format))
    }
}

/// A descriptor that takes whole lines from any thread.
final class LogOutput: Sendable {
    static let standardError = LogOutput(STDERR_FILENO)

    private let descriptor: CInt
    /// Held while a line is written, so that a line that takes two calls is not torn by another.
    private let writing = Mutex<Void>(())

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    /// Writes a line, or gives it up when nobody takes it: a log that cannot be written is no reason to stop serving.
    @Sendable func write(_ line: [UInt8]) {
        writing.withLock { _ in
            line.withUnsafeBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
                }
            }
        }
    }
}
