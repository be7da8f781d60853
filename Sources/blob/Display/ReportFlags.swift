// How the person wants to be told.

import ArgumentParser
import Foundation
import SystemPackage

/// The flags of the commands that move files.
struct ReportFlags: ParsableArguments {
    @Flag(help: "Print JSON on standard output, an object on a line for each event, the last one 'finished'.")
    var json = false

    @Flag(name: .shortAndLong, help: "Tell of nothing but results and failures.")
    var quiet = false

    @Flag(help: "Tell what happens, but not how far it is.")
    var noProgress = false

    func validate() throws {
        if json && quiet { throw ValidationError("--json and --quiet exclude each other.") }
    }

    /// Tells as the flags say.
    func reporter() -> TransferReporter { TransferReporter(style: style, showsProgress: !noProgress) }

    private var style: ReportStyle {
        if json { return .json }
        if quiet { return .quiet }
        let canDraw = Terminal.isTerminal(.standardError) && ProcessInfo.processInfo.environment["TERM"] != "dumb"
        return canDraw && !noProgress ? .terminal : .plain
    }
}

extension TransferReporter {
    /// Tells about the work of `body` until it is done.
    func telling<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepTelling() }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    /// Ends a command as its transfers ended.
    func succeedOrThrow() throws {
        let summary = summary
        if summary.wasInterrupted && !summary.wasHalted { throw CancelledTransfers() }
        if let lostResult { throw lostResult }
        if summary.failed > 0 { throw ExitCode.failure }
    }
}
