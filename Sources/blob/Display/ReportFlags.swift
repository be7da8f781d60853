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

    func validate() throws {
        if json && quiet { throw ValidationError("--json and --quiet exclude each other.") }
    }

    var style: ReportStyle {
        if json { return .json }
        if quiet { return .quiet }
        let canDraw = Terminal.isTerminal(.standardError) && ProcessInfo.processInfo.environment["TERM"] != "dumb"
        return canDraw ? .terminal : .plain
    }
}

extension TransferReporter {
    /// Tells about what `body` does until it is done.
    func telling<Value: Sendable>(_ body: @Sendable () async -> Value) async -> Value {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepTelling() }
            let value = await body()
            group.cancelAll()
            return value
        }
    }

    /// Ends a command as its transfers ended.
    func succeedOrThrow() throws {
        let summary = summary
        if summary.wasInterrupted { throw CancelledTransfers() }
        if summary.failed > 0 { throw ExitCode.failure }
    }
}
