// Tells what happens to the files on their way: on a terminal, in plain lines, or as JSON.

import BlobClient
import Program
import Synchronization
import SystemPackage

/// How transfers are told about.
enum ReportStyle: Equatable {
    /// Lines that are drawn again and again.
    case terminal
    case plain
    case json
    /// Nothing but results and failures.
    case quiet
}

/// Where a reporter writes to.
struct ReportOutput: Sendable {
    /// Standard output: results.
    var result: @Sendable (String) throws -> Void
    /// Standard error: everything else.
    var message: @Sendable (String) -> Void
    var size: @Sendable () -> Terminal.Size
    /// The width of the terminal that results go to; `nil` where a program reads them.
    var resultColumns: @Sendable () -> Int? = { nil }

    static let standard = ReportOutput(
        result: { try Output.write($0) },
        message: { _ = try? FileDescriptor.standardError.writeAll($0.utf8) },
        size: { Terminal.size(of: .standardError) },
        resultColumns: {
            Terminal.isTerminal(.standardOutput) ? Terminal.size(of: .standardOutput).columns : nil
        }
    )
}

/// The outcome of a file.
struct TransferResult: Sendable {
    var digest: String
    /// The text after the digest on the line of the result.
    var rest: [String]
    var file = StoredFile?.none
    var size: Int64?
    /// Nothing had to be moved: it was there.
    var wasThere = false
}

/// All calls may come at once, from any thread. Whoever reads the lines and stops reading holds the transfers up.
final class TransferReporter: Sendable {
    struct Summary: Equatable {
        var succeeded = 0
        var failed = 0
        var interrupted = 0
        /// Whether the end came before all files had their turn.
        var isCutShort = false
        /// Whether an error came that every further file of its server would meet.
        var wasHalted = false

        var wasInterrupted: Bool { interrupted > 0 || isCutShort }
    }

    private struct State {
        var board = TransferBoard()
        var summary = Summary()
        var nextID = 0
        /// Whether such an error came since ``begin()``.
        var isHalted = false
        /// Lines that belong above those that are drawn, in their order, and whether each is a result.
        var waiting: [(text: String, isResult: Bool)] = []
        /// The widths of the lines that are drawn.
        var drawn: [Int] = []
        /// Why a result could not be written.
        var lostResult: Problem?
    }

    let style: ReportStyle
    /// Whether it is told how far things are, beside what happens.
    private let showsProgress: Bool
    private let output: ReportOutput
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// - Parameter now: the time since the command began.
    init(
        style: ReportStyle, showsProgress: Bool = true, output: ReportOutput = .standard,
        now: @escaping @Sendable () -> Duration
    ) {
        (self.style, self.showsProgress, self.output, self.now) = (style, showsProgress, output, now)
    }

    convenience init(style: ReportStyle, showsProgress: Bool = true) {
        let start = ContinuousClock.now
        self.init(style: style, showsProgress: showsProgress) { ContinuousClock.now - start }
    }

    var summary: Summary { state.withLock { $0.summary } }

    /// Why results are missing on standard output, once all is told; the work went on.
    var lostResult: Problem? { state.withLock { $0.lostResult } }

    /// Whether an error came that every further file would meet.
    var isHalted: Bool { state.withLock { $0.isHalted } }

    // MARK: What happens

    /// The files of a server come now.
    func begin() { state.withLock { $0.isHalted = false } }

    func expect(files: Int, bytes: Int64?) {
        state.withLock { $0.board.expected = (files, bytes) }
    }

    /// - Returns: the transfer's number for the other calls.
    func start(_ label: String) -> Int {
        state.withLock { state in
            state.nextID += 1
            state.board.start(state.nextID, label, at: now())
            return state.nextID
        }
    }

    /// Its name is known by now.
    func rename(_ id: Int, _ label: String) {
        state.withLock { $0.board.rename(id, label) }
    }

    /// Shows the work that comes before bytes move.
    func remark(_ remark: String, on id: Int) {
        state.withLock { $0.board.remark(remark, on: id) }
    }

    func note(_ event: TransferEvent, of id: Int) {
        state.withLock { state in
            let now = now()
            guard let row = state.board.rows[id] else { return }
            state.board.note(event, of: id, at: now)
            switch style {
            case .quiet: break
            case .json:
                switch event {
                case .moved, .reading: guard showsProgress, now - row.told >= .seconds(1) else { return }
                case .began, .retrying, .startingOver: break
                }
                state.board.markTold(id, at: now)
                emit(JSONLines.text(ReportedEvent(event, path: row.label)), isResult: true, &state)
            case .terminal, .plain:
                guard let line = PlainLine.text(event, row.label, isDrawn: style == .terminal) else { return }
                state.board.markTold(id, at: now)
                emit(line, isResult: false, &state)
            }
        }
    }

    func end(_ id: Int, with result: TransferResult) {
        state.withLock { state in
            guard let row = state.board.rows[id] else { return }
            state.board.end(id, isThere: true, size: result.size)
            state.summary.succeeded += 1
            if style == .json {
                return emit(JSONLines.text(ReportedEvent(result, path: row.label)), isResult: true, &state)
            }
            if style == .plain {
                let took = now() - row.started
                emit(PlainLine.ended(row.label, result, took: took), isResult: false, &state)
            } else if result.wasThere && style == .terminal {
                emit(PlainLine.ended(row.label, result, took: nil), isResult: false, &state)
            }
            emit(PlainLine.result(result, columns: output.resultColumns()), isResult: true, &state)
        }
    }

    /// It is done, and its outcome has been printed.
    func endQuietly(_ id: Int) {
        state.withLock { state in
            state.board.end(id, isThere: true)
            state.summary.succeeded += 1
        }
    }

    func end(_ id: Int, with error: any Error) {
        state.withLock { state in
            guard let row = state.board.rows[id] else { return }
            state.board.end(id, isThere: false)
            let isOfAll = (error as? BlobClientError)?.concernsEveryFile ?? false
            // Those that were on their way at the same time meet the same: it is told once.
            guard !(error is CancellationError || isOfAll && state.isHalted) else {
                return state.summary.interrupted += 1
            }
            state.summary.failed += 1
            state.isHalted = isOfAll
            if isOfAll { state.summary.wasHalted = true }
            if style == .json {
                var event = ReportedEvent(.failed, path: row.label)
                event.error = ReportedEvent.Failure(error)
                return emit(JSONLines.text(event), isResult: true, &state)
            }
            let text = ErrorText(error, isNamed: true).whole
            emit("blob: \(DisplayText.safe(row.label)): \(text)", isResult: false, &state)
        }
    }

    /// The end came before all files had their turn.
    func endEarly() {
        state.withLock { $0.summary.isCutShort = true }
    }

    /// Something in a folder that is not uploaded, and why.
    func passOver(_ path: String, _ reason: String) {
        state.withLock { state in
            switch style {
            case .quiet: break
            case .json:
                var event = ReportedEvent(.passedOver, path: path)
                event.reason = reason
                emit(JSONLines.text(event), isResult: true, &state)
            case .terminal, .plain:
                emit("\(DisplayText.safe(path)): passed over, it \(reason)", isResult: false, &state)
            }
        }
    }

    /// Something about the whole run that is not as it was asked for.
    func warn(_ text: String) {
        state.withLock { emit("blob: warning: \(DisplayText.safe(text))", isResult: false, &$0) }
    }

    /// The last that is told: numbers, and how to go on after an interruption.
    func finish(hint: String?) {
        state.withLock { state in
            let (summary, moved, seconds) = (state.summary, state.board.moved, now())
            if style == .json {
                emit(JSONLines.text(ReportedEvent(summary, bytes: moved, took: seconds)), isResult: true, &state)
            } else if style != .quiet {
                emit(PlainLine.summary(summary, bytes: moved, took: seconds), isResult: false, &state)
            }
            if let hint {
                let reason = summary.wasHalted ? "stopped: the other files would meet the same" : "interrupted"
                emit("blob: \(reason); \(hint)", isResult: false, &state)
            }
            flush(&state, isDrawing: false)
        }
    }

    // MARK: Writing

    /// Draws, or tells of transfers that take long, until the task is cancelled.
    func keepTelling() async {
        let pause = style == .terminal ? Duration.milliseconds(100) : .seconds(1)
        guard showsProgress, style == .terminal || style == .plain else { return }
        while (try? await Task.sleep(for: pause)) != nil { tick() }
    }

    /// One step of ``keepTelling()``.
    func tick() {
        state.withLock { state in
            if style == .terminal { return flush(&state, isDrawing: true) }
            guard showsProgress, style == .plain else { return }
            let now = now()
            for (id, row) in state.board.rows.sorted(by: { $0.key < $1.key }) where now - row.told >= .seconds(10) {
                state.board.markTold(id, at: now)
                emit(PlainLine.progress(row, at: now), isResult: false, &state)
            }
        }
    }

    private func emit(_ line: String, isResult: Bool, _ state: inout State) {
        // A terminal is written to ten times a second, however many files there are.
        if style == .terminal { return state.waiting.append((line, isResult)) }
        if isResult { write(line, &state) } else { output.message(line + "\n") }
    }

    private func write(_ result: String, _ state: inout State) {
        do {
            try output.result(result + "\n")
        } catch let problem as Problem {
            state.lostResult = state.lostResult ?? problem
        } catch {
            // Whoever read has gone, and wants no more.
        }
    }

    private func flush(_ state: inout State, isDrawing: Bool) {
        guard style == .terminal else { return }
        let size = output.size()
        // In a terminal that has become narrower, a line takes several.
        let above = state.drawn.reduce(0) { $0 + max(1, ($1 + size.columns - 1) / size.columns) }
        var text = above > 0 ? "\r\u{1B}[\(above)A" : ""
        // Lines that are only drawn again do not flicker.
        if above > 0 && (!state.waiting.isEmpty || !isDrawing || above > state.drawn.count) { text += "\u{1B}[J" }
        for (line, isResult) in state.waiting {
            guard isResult else {
                text += line + "\n"
                continue
            }
            if !text.isEmpty { output.message(text) }
            text = ""
            write(line, &state)
        }
        state.waiting = []
        let lines = isDrawing ? state.board.lines(columns: size.columns, rows: size.rows, at: now()) : []
        text += lines.map { $0 + "\u{1B}[K\n" }.joined() + (isDrawing && above > lines.count ? "\u{1B}[J" : "")
        state.drawn = lines.map { DisplayText.width($0) }
        if !text.isEmpty { output.message(text) }
    }
}
