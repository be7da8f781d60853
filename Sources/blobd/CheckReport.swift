// The output of a check, as it goes on and at its end.

import BlobCore
import BlobStorage
import Foundation
import Program
import Synchronization

/// Puts findings on standard output: lines for people with a line of progress, or JSON lines for programs.
final class CheckReport: Sendable {
    enum Style: Sendable {
        case text, json

        /// A line of a terminal is drawn anew; JSON lines are kept.
        var progressInterval: Duration { self == .text ? .milliseconds(200) : .seconds(10) }
    }

    private struct State {
        /// Of the bytes that are read.
        var progress = ByteProgress()
        var samplePercent: Double?
        var examined: Int64 = 0
        var damaged = 0
        var faults = 0
        var orphans = 0
    }

    private let style: Style
    private let write: @Sendable (String, _ ending: String) throws(OutputFailure) -> Void
    private let state = Mutex(State())
    private let failure = Mutex<OutputFailure?>(nil)

    /// - Parameter write: takes a text and its terminator.
    init(
        style: Style,
        write: @escaping @Sendable (String, String) throws(OutputFailure) -> Void = {
            (text, ending) throws(OutputFailure) in try Console.tell(text, ending: ending)
        }
    ) {
        self.style = style
        self.write = write
    }

    /// Makes sure that everything so far was told. A check goes on to its end without that: its treatment of damage
    /// does not depend on its readers.
    func requireWritten() throws(OutputFailure) {
        if let failure = failure.withLock(\.self) { throw failure }
    }

    private func print(_ text: String, _ ending: String) {
        do {
            try write(text, ending)
        } catch {
            failure.withLock { $0 = $0 ?? error }
        }
    }

    /// - Parameters:
    ///   - byteCount: that will be read, as far as can be told.
    ///   - samplePercent: how much of a hundred blobs will be examined; `nil` for all of them.
    func begin(byteCount: Int64, samplePercent: Double? = nil) {
        state.withLock { state in
            state.progress = ByteProgress()
            state.progress.total = byteCount
            state.samplePercent = samplePercent
        }
    }

    /// Tells that it is a backup that is checked, and which.
    func begin(backup description: String) {
        tell(description, Line(event: "backup", message: description))
    }

    /// Counts bytes that were read, and shows how far the check has come now and then.
    func read(_ byteCount: Int) {
        state.withLock { state in
            if state.progress.add(byteCount, showingEvery: style.progressInterval) { show(state) }
        }
    }

    func examined(_ record: BlobRecord, _ verdict: Verdict) {
        state.withLock { state in
            state.examined += 1
            guard verdict.isDamage else { return }
            state.damaged += 1
            switch verdict {
            case .changed(let found) where found.digest == record.digest:
                tell(
                    "the blob \(record.digest) has \(found.size) bytes instead of \(record.size)",
                    Line(event: "damaged", digest: "\(record.digest)", size: record.size, foundSize: found.size)
                )
            case .changed(let found):
                tell(
                    "the blob \(record.digest) is damaged: its \(found.size) bytes are \(found.digest)",
                    Line(
                        event: "damaged", digest: "\(record.digest)", size: record.size, foundSize: found.size,
                        foundDigest: "\(found.digest)"
                    )
                )
            case .missing, .sound, .gone:
                tell(
                    record.condition == .damaged
                        ? "the blob \(record.digest) was damaged before; its bytes are in quarantine"
                        : "the blob \(record.digest) has no bytes",
                    Line(event: "missing", digest: "\(record.digest)", size: record.size)
                )
            }
        }
    }

    func fault(_ text: String) {
        state.withLock { $0.faults += 1 }
        tell(text, Line(event: "fault", message: text))
    }

    func orphan() {
        state.withLock { $0.orphans += 1 }
    }

    /// Tells the result.
    ///
    /// - Returns: whether everything is well.
    func end() -> Bool {
        state.withLock { state in
            let progress = state.progress
            var line = Line(event: "done", seconds: progress.seconds)
            (line.blobs, line.bytes, line.bytesPerSecond) = (state.examined, progress.done, progress.bytesPerSecond)
            (line.damaged, line.faults, line.orphans) = (state.damaged, state.faults, state.orphans)
            line.samplePercent = state.samplePercent
            let sample = state.samplePercent.map { String(format: ", a sample of %g %%", $0) } ?? ""
            tell(
                "\(state.examined) blobs\(sample), \(sizeText(progress.done)) read in \(ByteProgress.time(progress.seconds)): "
                    + "\(state.damaged) damaged, \(state.faults) other faults, \(state.orphans) without a row",
                line
            )
            return state.damaged == 0 && state.faults == 0
        }
    }

    private func show(_ state: State) {
        let progress = state.progress
        switch style {
        case .text: print(Console.lineStart + progress.text, "")
        case .json:
            var line = Line(event: "progress", seconds: progress.seconds, secondsLeft: progress.secondsLeft)
            (line.blobs, line.bytes, line.bytesPerSecond) = (state.examined, progress.done, progress.bytesPerSecond)
            print(line.json, "\n")
        }
    }

    private func tell(_ text: String, _ line: Line) {
        switch style {
        case .text: print(Console.lineStart + text, "\n")
        case .json: print(line.json, "\n")
        }
    }
}

extension CheckReport {
    /// One JSON line. Keys that do not belong to its event are left out.
    struct Line: Codable, Equatable {
        var event: String
        var digest: String?
        var size: Int64?
        var foundSize: Int64?
        var foundDigest: String?
        var message: String?
        var blobs: Int64?
        var bytes: Int64?
        var bytesPerSecond: Double?
        var seconds: Double?
        var secondsLeft: Double?
        var damaged: Int?
        var faults: Int?
        var orphans: Int?
        var samplePercent: Double?

        fileprivate var json: String {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = .sortedKeys
            return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        }
    }
}
