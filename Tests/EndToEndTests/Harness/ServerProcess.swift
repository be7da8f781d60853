// The real `blobd`, in a temporary folder of its own: started, stopped, killed, started again on the same data.

import Foundation
import Glibc
import Synchronization

final class ServerProcess: Sendable {
    private struct Running {
        let child: ChildProcess
        let address: String
        let port: Int
    }

    /// Beside the test bundle, unless `E2E_BLOBD` names another.
    static let executable: String = {
        if let other = ProcessInfo.processInfo.environment["E2E_BLOBD"] { return other }
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(fileURLWithPath: link ?? "").deletingLastPathComponent().path + "/blobd"
    }()

    let folder: TemporaryFolder
    private let running = Mutex<Running?>(nil)
    /// Made by the first start where the tests run on the storage of many nodes.
    private let cloud: Mutex<CloudData?>
    private let cloudAdmin: Mutex<String?>

    /// - Parameters:
    ///   - cloud: where this server keeps its data, if not where all of them do.
    ///   - adminToken: of an administrator who is known there.
    init(on cloud: CloudData? = nil, adminToken: String? = nil) throws {
        folder = try TemporaryFolder()
        self.cloud = Mutex(cloud)
        cloudAdmin = Mutex(adminToken)
    }

    var data: String { folder.path + "/data" }

    /// The address on which the server said that it is ready, such as `http://127.0.0.1:34567`.
    var address: String { running.withLock { $0?.address ?? "not running" } }

    var port: Int { running.withLock { $0?.port ?? 0 } }

    var child: ChildProcess? { running.withLock { $0?.child } }

    /// Starts the server and returns when it says that it is ready. `flags` replace those of the same name that every
    /// server here gets; `files` is how many it may have open.
    func start(_ flags: [String] = [], environment: [String: String] = [:], files: Int? = nil) async throws {
        let usual = [("--data", data), ("--listen", "127.0.0.1:0"), ("--min-free-space", "0")]
        let kept = usual.filter { !flags.contains($0.0) }.flatMap { [$0.0, $0.1] }
        if CloudData.isChosen, cloud.withLock({ $0 == nil }) {
            let made = try await CloudData()
            cloud.withLock { $0 = made }
        }
        let limited = files.map { ["/bin/sh", "-c", "ulimit -n \($0); exec \"$0\" \"$@\""] } ?? []
        let child = try ChildProcess(
            limited + [Self.executable, "serve"] + kept + flags, in: folder.path, environment: storage(environment))
        // Where that is for records.
        let told = flags.contains("-") ? child.errors : child.output
        let line = try await told.line { $0.hasPrefix("blobd is ready on http") }
        guard let line, let address = line.split(separator: " ").last,
            let port = Int(address.split(separator: ":").last ?? "")
        else {
            let end = try await child.waitForEnd()
            throw Failure("blobd \(flags) ended with \(end) before it was ready:\n\(try await child.errors.whole())")
        }
        running.withLock { $0 = Running(child: child, address: String(address), port: port) }
        if cloud.withLock({ $0 != nil }), cloudAdmin.withLock({ $0 == nil }) { try await makeCloudAdmin() }
    }

    /// The settings by which a process of the server's finds its data, beside a test's own.
    private func storage(_ environment: [String: String]) -> [String: String] {
        cloud.withLock { $0?.settings ?? [:] }.merging(environment) { _, own in own }
    }

    /// Nodes make no first token by themselves.
    private func makeCloudAdmin() async throws {
        let admin = try await namedClient("admin", "upload,read,delete,admin")
        cloudAdmin.withLock { $0 = admin.bearer }
    }

    /// SIGTERM, and the end of the process.
    func stop() async throws -> ChildProcess.End {
        guard let child = forget() else { throw Failure("not running") }
        child.signal(SIGTERM)
        return try await child.waitForEnd()
    }

    /// SIGKILL: the process ends as by a crash or a power cut.
    func kill() async throws {
        guard let child = forget() else { return }
        child.signal(SIGKILL)
        _ = try await child.waitForEnd()
    }

    /// Stops in good order and starts again on the same data.
    func restart(_ flags: [String] = []) async throws {
        let end = try await stop()
        guard end == .code(0) else { throw Failure("SIGTERM ended the server with \(end)") }
        try await start(flags)
    }

    func connect(receiveBuffer: Int32? = nil) async throws -> HTTPConnection {
        try await HTTPConnection.open(port: port, receiveBuffer: receiveBuffer)
    }

    /// The token that the first start wrote.
    func adminToken() throws -> String {
        if let token = cloudAdmin.withLock({ $0 }) { return token }
        return String(decoding: try folder.read("data/admin-token"), as: UTF8.self).trimmingCharacters(
            in: .whitespacesAndNewlines)
    }

    /// The client that may do everything.
    func admin() throws -> Client {
        Client(server: self, bearer: try adminToken())
    }

    /// A client with a new subject of its own, made by `blobd token create` while the server runs.
    func client(_ scopes: String = "upload,read,delete", expires: String? = nil) async throws -> Client {
        try await namedClient("subject-" + UUID().uuidString.lowercased(), scopes, expires: expires)
    }

    func namedClient(
        _ name: String, subject: String? = nil, _ scopes: String, expires: String? = nil, auditLog: String? = nil
    ) async throws -> Client {
        let more = [("--expires", expires), ("--subject", subject), ("--audit-log", auditLog)].flatMap { flag, value in
            value.map { [flag, $0] } ?? []
        }
        let made = try await command(["token", "create", name, "--data", data, "--scopes", scopes] + more)
        guard made.end == .code(0) else { throw Failure("token create ended with \(made.end): \(made.errors)") }
        return Client(server: self, bearer: made.output.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Runs another `blobd` command to its end, in the server's folder.
    func command(_ arguments: [String], environment: [String: String] = [:]) async throws -> ChildProcess.Outcome {
        try await ChildProcess.run(
            [Self.executable] + arguments, in: folder.path, environment: storage(environment))
    }

    private func forget() -> ChildProcess? {
        running.withLock { state in
            defer { state = nil }
            return state?.child
        }
    }
}

extension ServerProcess {
    /// The one that all tests without special settings share; ended when the test process exits.
    static var shared: ServerProcess {
        get async throws { try await sharedStart.value }
    }

    private static let sharedStart = Task {
        let server = try ServerProcess()
        try await server.start(["--max-open-uploads", "100000"])
        return server
    }
}

/// A server for one test, with settings of its own; ended and its folder deleted whatever the test does.
func withServer(
    _ flags: [String] = [], environment: [String: String] = [:], on cloud: CloudData? = nil, adminToken: String? = nil,
    files: Int? = nil,
    _ body: (ServerProcess) async throws -> Void
) async throws {
    let server = try ServerProcess(on: cloud, adminToken: adminToken)
    do {
        try await server.start(flags, environment: environment, files: files)
        try await body(server)
    } catch {
        try? await server.kill()
        throw error
    }
    try await server.kill()
}
