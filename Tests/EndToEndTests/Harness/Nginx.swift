// nginx before a server.

import Foundation
import NIOCore
import NIOPosix

/// An nginx on a port of its own.
struct Nginx: Sendable {
    let port: Int
    private let child: ChildProcess
    private let folder: TemporaryFolder

    /// Starts one, and returns when it takes connections.
    ///
    /// - Parameter locations: the `location` blocks of its only server.
    static func start(_ locations: String) async throws -> Nginx {
        let folder = try TemporaryFolder()
        for _ in 0..<10 {
            // It cannot take any free port by itself: another process may be there first.
            let port = try await freePort()
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
                "\($0)_temp_path \(folder.path);"
            }
            let path = try folder.write(
                Array(
                    """
                    daemon off;
                    master_process off;
                    pid \(folder.path)/pid;
                    events { worker_connections 64; }
                    http {
                        access_log off;
                        \(temporary.joined(separator: "\n    "))
                        client_max_body_size 0;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_request_buffering off;
                        proxy_buffering off;
                        server { listen 127.0.0.1:\(port); \(locations) }
                    }
                    """.utf8), to: "conf")
            let arguments = ["/usr/sbin/nginx", "-c", path, "-p", folder.path, "-e", "stderr"]
            let child = try ChildProcess(arguments, in: folder.path)
            if try await listens(child, on: port) { return Nginx(port: port, child: child, folder: folder) }
        }
        throw Failure("nginx found no free port")
    }

    func stop() async throws {
        child.signal(SIGTERM)
        _ = try await child.waitForEnd()
    }

    private static func freePort() async throws -> Int {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        try await listener.close()
        return port
    }

    /// - Returns: false when another process had the port.
    private static func listens(_ child: ChildProcess, on port: Int) async throws -> Bool {
        try await eventually("nginx listens") {
            let errors = child.errors.soFar
            if errors.contains("Address already in use") { return false }
            guard !errors.contains("[emerg]") else { throw Failure("nginx: \(errors)") }
            guard let connection = try? await HTTPConnection.open(port: port) else { return nil }
            connection.close()
            return true
        }
    }
}
