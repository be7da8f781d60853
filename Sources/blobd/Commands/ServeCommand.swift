// `blobd serve`: the server.

import ArgumentParser
import CLinux
import Logging
import Metrics

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve until SIGTERM or SIGINT.",
        usage: "blobd serve [<settings>]",
        discussion: """
            Each setting can be given as a flag, as an environment variable (--max-blob-size is BLOBD_MAX_BLOB_SIZE) or as \
            a key of the file of --config, in this order. 'blobd config' shows what is in effect.
            """
    )

    @OptionGroup(title: "Settings") var flags: SettingFlags

    func run() async throws {
        let settings = try Settings(try Settings.effective(flags: flags.given))
        ignoreSignalsOfWriting()
        raiseOpenFileLimit()
        clinux_keep_freed_memory()
        let metrics = PrometheusMetrics()
        MetricsSystem.bootstrap(metrics)
        let log = LineLogHandler.bootstrap(level: settings.logLevel, format: settings.logFormat)
        defer { log.drain() }
        let logger = Logger(label: "blobd")
        try await Assembly(settings: settings, renderMetrics: metrics.render, logger: logger).serve()
    }
}
