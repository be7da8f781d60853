// The log: one line for each event, on standard error.

import Glibc
import Logging

/// Writes each event as one line of a ``LogFormat``.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let format: LogFormat
    private let write: @Sendable ([UInt8]) -> Void

    init(
        level: Logger.Level, format: LogFormat, metadataProvider: Logger.MetadataProvider? = nil,
        write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        logLevel = level
        self.format = format
        self.metadataProvider = metadataProvider
        self.write = write
    }

    /// Makes this the log of the process. Once, before the first logger.
    ///
    /// - Returns: what writes the lines, to be drained before the process ends.
    static func bootstrap(level: Logger.Level, format: LogFormat) -> LogOutput {
        let output = LogOutput(STDERR_FILENO, format: format)
        LoggingSystem.bootstrap(
            { _, provider in
                LineLogHandler(level: level, format: format, metadataProvider: provider, write: output.write)
            },
            metadataProvider: nil
        )
        return output
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
