// The real `blob`, with a home folder and a token of its own.

import Foundation

struct BlobTool: Sendable {
    /// Beside the test bundle, where `blobd` is too.
    static let folder = URL(fileURLWithPath: ServerProcess.executable).deletingLastPathComponent().path
    static let executable = folder + "/blob"

    let server: ServerProcess
    let token: String
    /// Also the current folder of the tool.
    let home: TemporaryFolder

    /// - Parameter scopes: those of a new subject of its own.
    init(_ server: ServerProcess, scopes: String = "upload,read,delete") async throws {
        self.server = server
        guard let token = try await server.client(scopes).bearer else { throw Failure("no token") }
        self.token = token
        home = try TemporaryFolder()
    }

    /// On the server that all tests share.
    static func shared() async throws -> BlobTool { try await BlobTool(.shared) }

    private var environment: [String: String] {
        [
            "HOME": home.path, "XDG_CONFIG_HOME": home.path + "/config", "XDG_STATE_HOME": home.path + "/state",
            "BLOB_SERVER": server.address, "BLOB_TOKEN": token,
        ]
    }

    /// - Parameter without: variables of the environment that are left out.
    func start(_ arguments: [String], without: [String] = []) throws -> ChildProcess {
        try ChildProcess(
            [Self.executable] + arguments, in: home.path, environment: environment.filter { !without.contains($0.key) })
    }

    func run(_ arguments: [String], without: [String] = []) async throws -> ChildProcess.Outcome {
        let child = try start(arguments, without: without)
        let end = try await child.waitForEnd()
        return ChildProcess.Outcome(
            end: end, output: try await child.output.whole(), errors: try await child.errors.whole())
    }

    /// Runs a line of the shell, in which `$blob` is the executable.
    func shell(_ line: String, without: [String] = []) async throws -> ChildProcess.Outcome {
        var environment = environment.filter { !without.contains($0.key) }
        environment["blob"] = Self.executable
        return try await ChildProcess.run(
            ["bash", "-o", "pipefail", "-c", line], in: home.path, environment: environment)
    }

    /// Runs on a terminal of 80 columns, on which a line is typed. Both outputs come as one, with `\r\n` at the ends of
    /// lines.
    func onTerminal(_ arguments: [String], typing line: String) async throws -> ChildProcess.Outcome {
        let command = ([Self.executable] + arguments).map { "'\($0)'" }.joined(separator: " ")
        var environment = environment
        environment["command"] = "stty cols 80; exec \(command)"
        environment["line"] = line
        return try await ChildProcess.run(
            ["bash", "-c", #"printf '%s\n' "$line" | script --quiet --return --command "$command" /dev/null"#],
            in: home.path, environment: environment)
    }

    /// The words that bash offers for the last of these, by the executable's own script.
    func complete(_ words: String) async throws -> ChildProcess.Outcome {
        try await shell(
            """
            source <($blob --generate-completion-script bash)
            COMP_LINE="$blob \(words)" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
            IFS=' ' read -ra COMP_WORDS <<<"$COMP_LINE"
            [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _blob "$blob" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
            printf '%s\n' "${COMPREPLY[@]}"
            """)
    }

    // MARK: Its files

    /// A file whose upload takes a moment, without any bytes on the disk.
    func writeSparse(_ name: String, byteCount: UInt64) throws -> String {
        let path = try home.write([], to: name)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.write(contentsOf: Data(UUID().uuidString.utf8))
        try file.truncate(atOffset: byteCount)
        try file.close()
        return path
    }

    /// The contents of the journal's files.
    func journal() -> [String] {
        let folder = home.path + "/state/blob/uploads"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { try? String(contentsOfFile: folder + "/" + $0, encoding: .utf8) }
    }
}

extension ChildProcess.Outcome {
    /// The first word of each line: digests, where a command prints them.
    var firstWords: [String] {
        output.split(separator: "\n").map { $0.split(separator: " ").first.map(String.init) ?? "" }
    }
}
