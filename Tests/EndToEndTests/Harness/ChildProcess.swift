// A child process: started in a folder, its output read on threads of their own, its end awaited, never left running.

import Foundation
import Glibc
import Synchronization

final class ChildProcess: Sendable {
    enum End: Equatable {
        case code(Int32)
        case signal(Int32)
    }

    /// The outcome of a command: how it ended, and all its output.
    struct Outcome {
        let end: End
        let output: String
        let errors: String

        /// The output of a command that writes one JSON object a line.
        func jsonLines() throws -> [JSON] {
            try output.split(separator: "\n").map { try JSONDecoder().decode(JSON.self, from: Data($0.utf8)) }
        }

        /// The blobs that these lines name.
        func namedDigests() throws -> Set<String> {
            Set(try jsonLines().compactMap { $0["digest"]?.string })
        }
    }

    let pid: pid_t
    let output: OutputText
    let errors: OutputText
    private let end = Promise<End>()

    /// A pipe's ends must be marked close-on-exec before another thread starts a child, or that child would keep the
    /// pipe open.
    private static let starting = Mutex(())

    /// The child sees `environment` and a bare minimum of the test's own: no setting leaks in from outside.
    init(_ arguments: [String], in folder: String, environment: [String: String] = [:]) throws {
        let inherited = ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"].compactMap { name in
            ProcessInfo.processInfo.environment[name].map { (name, $0) }
        }
        let variables = Dictionary(inherited) { first, _ in first }.merging(environment) { _, own in own }
        let words = ["/usr/bin/env", "-C", folder] + arguments
        let (pid, outputPipe, errorPipe) = try Self.starting.withLock { _ in
            let output = try Pipe()
            let errors = try Pipe()
            let pid = try Self.spawn(words, variables.map { "\($0)=\($1)" }, output.write, errors.write)
            close(output.write)
            close(errors.write)
            return (pid, output, errors)
        }
        LeftBehind.started(pid)
        self.pid = pid
        output = OutputText(reading: outputPipe.read)
        errors = OutputText(reading: errorPipe.read)
        Thread.detachNewThread { [end] in
            var information = siginfo_t()
            while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) == -1, errno == EINTR {}
            let status = LeftBehind.reap(pid)
            end.fulfil(status & 0x7f == 0 ? .code((status >> 8) & 0xff) : .signal(status & 0x7f))
        }
    }

    deinit {
        signal(SIGKILL)
    }

    /// Runs a command to its end; kills it and fails when it takes longer than `limit`.
    static func run(
        _ arguments: [String], in folder: String, environment: [String: String] = [:],
        within limit: Duration = .patience
    ) async throws -> Outcome {
        let child = try ChildProcess(arguments, in: folder, environment: environment)
        let end = try await child.waitForEnd(within: limit)
        return Outcome(end: end, output: try await child.output.whole(), errors: try await child.errors.whole())
    }

    func signal(_ signal: Int32) {
        LeftBehind.signal(pid, signal)
    }

    /// Kills the child and fails when it does not end within `limit`.
    func waitForEnd(within limit: Duration = .patience) async throws -> End {
        if let end = await end.value(within: limit) { return end }
        signal(SIGKILL)
        throw Failure("still running after \(limit); wrote:\n\(output.soFar)\n\(errors.soFar)")
    }

    private static func spawn(
        _ words: [String], _ variables: [String], _ output: Int32, _ errors: Int32
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        try closeOthers(&actions)

        // The threads of Swift's pool block most signals; the child would inherit that and never see SIGTERM.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        let argumentPointers = words.map { strdup($0) } + [nil]
        let variablePointers = variables.map { strdup($0) } + [nil]
        defer {
            for pointer in argumentPointers + variablePointers { free(pointer) }
        }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, words[0], &actions, &attributes, argumentPointers, variablePointers)
        guard result == 0 else { throw Failure("cannot start \(words): \(String(cString: strerror(result)))") }
        return pid
    }

    /// SwiftNIO's sockets would otherwise stay open in the child, and not end when they are closed here. The function
    /// is glibc's, which hides it from Swift.
    private static func closeOthers(_ actions: inout posix_spawn_file_actions_t) throws {
        typealias Function = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { throw Failure("glibc < 2.34") }
        let result = unsafeBitCast(symbol, to: Function.self)(&actions, 3)
        guard result == 0 else { throw Failure("addclosefrom: \(String(cString: strerror(result)))") }
    }

    private struct Pipe {
        let read: Int32
        let write: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw Failure("pipe: \(String(cString: strerror(errno)))") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            (read, write) = (ends[0], ends[1])
        }
    }
}

/// A child's output so far, and a way to wait for a line of it.
final class OutputText: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var ended = false
        var watchers: [Watcher] = []
    }

    private struct Watcher {
        let wanted: @Sendable (String) -> Bool
        let line: Promise<String?>
    }

    private let state = Mutex(State())
    private let ended = Promise<Bool>()

    fileprivate init(reading descriptor: Int32) {
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                took(buffer[..<count])
            }
            close(descriptor)
            tookAll()
        }
    }

    var soFar: String {
        state.withLock { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// Everything up to the end of the output; fails when that does not come.
    func whole() async throws -> String {
        guard await ended.value(within: .patience) != nil else {
            throw Failure("the output does not end; so far:\n\(soFar)")
        }
        return soFar
    }

    /// The first whole line that is wanted, those already written included; nil when the output ends without one.
    func line(
        within limit: Duration = .patience, where wanted: @escaping @Sendable (String) -> Bool
    ) async throws -> String? {
        let promise = Promise<String?>()
        state.withLock { state in
            state.watchers.append(Watcher(wanted: wanted, line: promise))
            Self.tell(&state)
        }
        guard let line = await promise.value(within: limit) else {
            throw Failure("no such line within \(limit) in:\n\(soFar)")
        }
        return line
    }

    private func took(_ bytes: ArraySlice<UInt8>) {
        state.withLock { state in
            state.bytes += bytes
            if bytes.contains(UInt8(ascii: "\n")) { Self.tell(&state) }
        }
    }

    private func tookAll() {
        state.withLock { state in
            state.ended = true
            Self.tell(&state)
        }
        ended.fulfil(true)
    }

    private static func tell(_ state: inout State) {
        guard !state.watchers.isEmpty else { return }
        let text = String(decoding: state.bytes, as: UTF8.self)
        let end = text.lastIndex(of: "\n") ?? text.startIndex
        let lines = text[..<(state.ended ? text.endIndex : end)].split(separator: "\n").map(String.init)
        state.watchers.removeAll { watcher in
            let line = lines.first(where: watcher.wanted)
            guard line != nil || state.ended else { return false }
            watcher.line.fulfil(line)
            return true
        }
    }
}
