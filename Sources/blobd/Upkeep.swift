// The work of a server beside answering requests.

import BlobCore
import BlobStorage
import Logging
import ServiceLifecycle
import UnixSignals

/// Work that is due again and again.
struct Chore: Sendable {
    let interval: Duration
    let work: @Sendable () async throws(BlobError) -> Void
}

/// Reclaims and verifies until the server stops: at intervals, and at once when SIGUSR1 asks for it.
struct Upkeep: Service {
    /// `nil` where nothing may go.
    let reclaimer: Reclaimer?
    let reclaimInterval: Duration
    let verifier: Verifier
    /// Zero for never.
    let scrubInterval: Duration
    /// In bytes per second.
    let scrubRate: Int64
    let chores: [Chore]
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigusr1)
        try? await cancelWhenGracefulShutdown {
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask {
                    while true {
                        await attempt { () throws(BlobError) in
                            try await verifier.verifySuspected()
                            try await reclaimer?.reclaim()
                        }
                        try await Task.sleep(for: reclaimInterval)
                    }
                }
                group.addTask {
                    for await _ in signals {
                        await attempt { () throws(BlobError) in
                            try await verifier.verifySuspected()
                            try await reclaimer?.reclaim(searchingAll: true)
                        }
                    }
                }
                for chore in chores {
                    group.addTask {
                        while true {
                            try await Task.sleep(for: chore.interval)
                            await attempt(chore.work)
                        }
                    }
                }
                if scrubInterval > .zero {
                    group.addTask { try await verifier.run(every: scrubInterval, rate: scrubRate) }
                }
            }
        }
    }

    private func attempt(_ work: () async throws(BlobError) -> Void) async {
        do throws(BlobError) {
            try await work()
        } catch {
            logger.error("upkeep failed; trying again later", metadata: ["error": "\(error)"])
        }
    }
}
