// The log: one line for each event, on standard error.

import Glibc
import Logging

/// Makes each event one line.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let take: @Sendable (LogEntry) -> Void

    init(
        level: Logger.Level, metadataProvider: Logger.MetadataProvider? = nil,
        take: @escaping @Sendable (LogEntry) -> Void
    ) {
        logLevel = level
        self.metadataProvider = metadataProvider
        self.take = take
    }

    /// Makes this the log of the process. Once, before the first logger.
    ///
    /// - Returns: the log, to be drained before the process ends.
    static func bootstrap(level: Logger.Level, format: LogFormat) -> ProcessLog {
        let log = ProcessLog(format: format)
        LoggingSystem.bootstrap(
            { _, provider in LineLogHandler(level: level, metadataProvider: provider, take: log.fold.take) },
            metadataProvider: nil
        )
        return log
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
        take(
            LogEntry(
                time: .now, level: event.level, message: event.message.description,
                metadata: fields.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
            )
        )
    }
}

/// The way of the process's lines to standard error: folded, then written by a thread that alone waits.
struct ProcessLog {
    fileprivate let fold: LogFold
    private let output: LogOutput

    fileprivate init(format: LogFormat) {
        let output = LogOutput(STDERR_FILENO, format: format)
        self.output = output
        fold = LogFold { entry in output.write(entry.line(format)) }
    }

    /// Returns when everything so far is written, or after two seconds in which nobody took it.
    func drain() {
        fold.flush()
        output.drain()
    }
}
